"""aiomysql and asyncmy: async_client.py HOST PORT TABLE DRIVER"""

import asyncio
import importlib
import sys

from common import check_every_type, decision, every_type_table, is_direct

host, port, table, name = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
driver = importlib.import_module(name)
errors = importlib.import_module(f"{name}.errors" if name == "asyncmy" else "pymysql.err")
account = dict(host=host, port=port, user="app", password="app", db="guestbook", charset="utf8mb4")


async def fails_with(code, action):
    try:
        await action
    except errors.MySQLError as failure:
        assert failure.args[0] == code, failure
        return
    raise AssertionError(f"no error {code}")


async def values(connection):
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT VERSION()")
        (version,) = await cursor.fetchone()
        statements, select, types = every_type_table(f"{table}_t", version)
        for statement in statements:
            await cursor.execute(statement)
        assert cursor.lastrowid == 2
        for _ in range(4):
            await cursor.execute(select)
            check_every_type(await cursor.fetchall(), types)
        # asyncmy 0.2.18 loses the rest of a row that takes more than a packet, from any server.
        large = b"\xfe\x00" * (1 << 19)
        await cursor.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, bytes LONGBLOB)")
        await cursor.execute(f"INSERT INTO {table} (a, bytes) VALUES (1, X'{large.hex()}')")
        await cursor.execute(f"SELECT bytes FROM {table}")
        assert await cursor.fetchone() == (large,)
        await cursor.executemany(f"INSERT INTO {table} (a) VALUES (%s)", [(2,), (3,)])
        assert cursor.rowcount == 2


async def transactions(connection):
    async with connection.cursor() as cursor:
        await connection.begin()
        await cursor.execute(f"DELETE FROM {table} WHERE a = 1")
        await cursor.execute("SAVEPOINT one")
        await cursor.execute(f"DELETE FROM {table}")
        await cursor.execute("ROLLBACK TO one")
        await cursor.execute(f"SELECT a FROM {table} ORDER BY a")
        assert [row[0] for row in await cursor.fetchall()] == [2, 3]
        await connection.rollback()
        await fails_with(1146, cursor.execute("SELECT * FROM no_such_table"))
        await fails_with(1064, cursor.execute("SELECT FROM WHERE"))
        await fails_with(1062, cursor.execute(f"INSERT INTO {table} (a) VALUES (1)"))
    await fails_with(1045, driver.connect(**{**account, "password": "wrong"}))


async def streams(connection):
    digits = "(" + " UNION ".join(f"SELECT {n} n" for n in range(10)) + ")"
    cursors = importlib.import_module(f"{name}.cursors")
    async with connection.cursor(cursors.SSCursor) as cursor:
        await cursor.execute(f"SELECT a.n + 10 * b.n + 100 * c.n FROM {digits} a, {digits} b, {digits} c")
        total = 0
        while row := await cursor.fetchone():
            total += row[0]
        assert total == 499500
    await connection.ping()


async def pool():
    """Sessions that many tasks use one after the other, with statements that were given up in between."""
    async with driver.create_pool(**account, minsize=1, maxsize=4, autocommit=True) as connections:

        async def work(number):
            async with connections.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("SELECT %s + 0, CONNECTION_ID()", (number,))
                assert (await cursor.fetchone())[0] == number

        async def give_up():
            async with connections.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("SELECT SLEEP(30)")

        await asyncio.gather(*(work(number) for number in range(40)))
        try:
            await asyncio.wait_for(give_up(), 0.05)
        except TimeoutError:
            pass
        await asyncio.gather(*(work(number) for number in range(40)))


async def main():
    connection = await driver.connect(**account, autocommit=True)
    await values(connection)
    await transactions(connection)
    await streams(connection)
    connection.close()
    if not is_direct():
        fresh = await driver.connect(**account, autocommit=True)
        async with fresh.cursor() as cursor:
            for _ in range(3):
                await fresh.ping()
            # As soon as a replica is fresh enough.
            async with asyncio.timeout(10):
                where = "db1"
                while where == "db1":
                    await cursor.execute("EXPLAIN ROUTE SELECT 1")
                    where = decision(await cursor.fetchall())[2]
        fresh.close()
    await pool()
    print("good")


asyncio.run(main())
