"""SQLAlchemy, its core and its ORM, with a pool: sqlalchemy_client.py HOST PORT TABLE DRIVER"""

import asyncio
import datetime
import decimal
import sys

import sqlalchemy as sa
from common import is_direct, reads_go_to_a_replica
from sqlalchemy import orm
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

host, port, table, driver = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
options = "?charset=utf8mb4" + ("&collation=utf8mb4_general_ci" if driver == "mysqlconnector" else "")
url = f"mysql+{driver}://app:app@{host}:{port}/guestbook{options}"


class Base(orm.DeclarativeBase):
    pass


class Guest(Base):
    __tablename__ = f"{table}_guest"
    id = orm.mapped_column(sa.Integer, primary_key=True)
    name = orm.mapped_column(sa.String(50), unique=True)
    paid = orm.mapped_column(sa.Numeric(10, 2))
    seen = orm.mapped_column(mysql.DATETIME(fsp=6))
    about = orm.mapped_column(sa.JSON)
    photo = orm.mapped_column(sa.LargeBinary(1 << 24))
    visits = orm.relationship("Visit", back_populates="guest", cascade="all, delete-orphan", order_by="Visit.id")


class Visit(Base):
    __tablename__ = f"{table}_visit"
    id = orm.mapped_column(sa.BigInteger, primary_key=True)
    guest_id = orm.mapped_column(sa.ForeignKey(Guest.id))
    kind = orm.mapped_column(sa.Enum("short", "long"))
    guest = orm.relationship(Guest, back_populates="visits")


def guest(name):
    seen = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
    return Guest(name=name, paid=decimal.Decimal("12.34"), seen=seen, about={"a": [1, None, "ä"]}, photo=b"\x00\xff", visits=[Visit(kind="short"), Visit(kind="long")])


def use_orm(engine):
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([guest("ä it's"), guest(None), guest("third")])
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Visit)) == 6
        first = session.scalars(sa.select(Guest).options(orm.selectinload(Guest.visits)).order_by(Guest.id)).first()
        assert (first.name, first.paid, first.about, first.photo) == ("ä it's", decimal.Decimal("12.34"), {"a": [1, None, "ä"]}, b"\x00\xff")
        assert first.seen.microsecond == 123456 and [visit.kind for visit in first.visits] == ["short", "long"]
        # A savepoint that fails, inside a transaction that does not.
        first.name = "changed"
        try:
            with session.begin_nested():
                session.add(guest("third"))
                session.flush()
            raise AssertionError("a duplicate was let in")
        except sa.exc.IntegrityError as failure:
            assert "1062" in str(failure.orig), failure
        session.delete(session.scalars(sa.select(Guest).where(Guest.name.is_(None))).one())
        session.commit()
    with orm.Session(engine) as session:
        assert session.scalars(sa.select(Guest.name).order_by(Guest.id)).all() == ["changed", "third"]
        assert session.scalar(sa.select(sa.func.count()).select_from(Visit)) == 4
        many = session.scalars(sa.select(Visit).execution_options(yield_per=1))
        assert len([visit.id for visit in many]) == 4


def use_core(engine):
    assert set(sa.inspect(engine).get_table_names()) >= {Guest.__tablename__, Visit.__tablename__}
    columns = sa.inspect(engine).get_columns(Guest.__tablename__)
    assert [column["name"] for column in columns] == ["id", "name", "paid", "seen", "about", "photo"]
    assert sa.inspect(engine).get_foreign_keys(Visit.__tablename__)[0]["referred_table"] == Guest.__tablename__
    with engine.begin() as connection:
        insert = mysql.insert(Guest).values(name="third", paid=1)
        connection.execute(insert.on_duplicate_key_update(paid=insert.inserted.paid))
    for level in ("READ COMMITTED", "SERIALIZABLE", "AUTOCOMMIT"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            assert connection.scalar(sa.select(Guest.paid).where(Guest.name == "third")) == 1
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT * FROM no_such_table"))
        raise AssertionError("no error")
    except sa.exc.ProgrammingError as failure:
        assert "1146" in str(failure.orig), failure
    if driver == "pymysql":
        # A session of the pool that is gone is noticed by its ping.
        with engine.connect() as connection:
            number = connection.scalar(sa.text("SELECT CONNECTION_ID()"))
        other = sa.create_engine(url)
        with other.connect() as connection:
            connection.execute(sa.text(f"KILL {number}"))
        other.dispose()
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT CONNECTION_ID()")) != number


async def use_async():
    engine = create_async_engine(url, pool_size=3, pool_pre_ping=True)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add_all([guest("one"), guest("two")])
        await session.commit()
        assert (await session.scalars(sa.select(Guest.name).order_by(Guest.id))).all() == ["one", "two"]

    async def count(_):
        async with engine.connect() as connection:
            # The pool's other sessions may read a replica that does not have it all yet.
            return await connection.scalar(sa.text("SELECT 7"))

    assert set(await asyncio.gather(*map(count, range(12)))) == {7}
    await engine.dispose()


if driver in ("aiomysql", "asyncmy"):
    asyncio.run(use_async())
else:
    # One session at a time: the pool gives each the connection of the one before.
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, pool_reset_on_return="rollback", isolation_level="AUTOCOMMIT")
    use_orm(engine.execution_options(isolation_level="REPEATABLE READ"))
    use_core(engine)
    if not is_direct():
        for _ in range(3):
            with engine.connect() as connection:
                reads_go_to_a_replica(lambda sql: connection.execute(sa.text(sql)).all())
    engine.dispose()
print("good")
