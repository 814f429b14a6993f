// Node's mysql: node_client.js HOST PORT TABLE
"use strict";

const fs = require("fs");
const mysql = require("mysql");
const { promisify } = require("util");

const [host, port, table] = process.argv.slice(2);
const account = { host, port: Number(port), user: "app", password: "app", database: "guestbook", charset: "utf8mb4" };

function check(got, want, what = "") {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`${what}: got ${JSON.stringify(got)?.slice(0, 500)}, want ${JSON.stringify(want)?.slice(0, 500)}`);
  }
}

function connect(options) {
  const connection = mysql.createConnection({ ...account, ...options });
  for (const name of ["connect", "query", "beginTransaction", "commit", "rollback", "ping", "changeUser", "end"]) {
    connection[`${name}Async`] = promisify(connection[name]).bind(connection);
  }
  return connection;
}

async function failsWith(errno, action) {
  try {
    await action();
  } catch (failure) {
    check(failure.errno, errno, failure.message);
    return;
  }
  throw new Error(`no error ${errno}`);
}

async function main() {
  const db = connect({ dateStrings: true, supportBigNumbers: true, bigNumberStrings: true });
  await db.connectAsync();
  const query = db.queryAsync;
  const [{ version }] = await query("SELECT VERSION() AS version");

  // Every type.
  const engine = version.includes("MariaDB") ? "mariadb" : "mysql";
  const lines = fs.readFileSync(`${__dirname}/every_type.tsv`, "utf8").trimEnd().split("\n");
  const types = lines.map((line) => line.split("\t")).filter(([where]) => where === "any" || where === engine);
  const names = types.map((_, n) => `c${n}`).join(", ");
  await query(`CREATE TABLE ${table}_t (id INT PRIMARY KEY AUTO_INCREMENT, ${types.map(([, type], n) => `c${n} ${type}`).join(", ")})`);
  await query(`INSERT INTO ${table}_t VALUES (NULL, ${types.map(([, , literal]) => literal).join(", ")})`);
  check((await query(`INSERT INTO ${table}_t (id) VALUES (NULL)`)).insertId, 2);
  for (let turn = 0; turn < 4; turn++) {
    const [row, empty] = await query(`SELECT ${names} FROM ${table}_t ORDER BY id`);
    types.forEach(([, type, , value], n) => {
      const got = row[`c${n}`];
      const text = Buffer.isBuffer(got) ? `hex:${got.toString("hex")}` : String(got);
      // It makes an object of a POINT.
      check(text, type === "POINT" ? "[object Object]" : value, type);
      check(empty[`c${n}`], null, type);
    });
  }

  // Placeholders, affected rows, transactions. The driver counts rows that were found.
  await query(`CREATE TABLE ${table} (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, words VARCHAR(50) CHARACTER SET utf8mb4, bytes LONGBLOB)`);
  const rows = [[1, "ä😀 it's", null], [2, null, Buffer.from([0, 255])], [3, "\\", Buffer.alloc(0)]];
  check((await query(`INSERT INTO ${table} (a, words, bytes) VALUES ?`, [rows])).affectedRows, 3);
  const updated = await query(`UPDATE ${table} SET words = ? WHERE a = ?`, ["\\", 3]);
  check([updated.affectedRows, updated.changedRows], [1, 0]);
  await db.beginTransactionAsync();
  await query(`DELETE FROM ${table} WHERE a = 1`);
  await query("SAVEPOINT one");
  await query(`DELETE FROM ${table}`);
  await query("ROLLBACK TO one");
  check((await query(`SELECT a FROM ${table} ORDER BY a`)).map((row) => row.a), [2, 3]);
  await db.rollbackAsync();
  await db.beginTransactionAsync();
  await query(`UPDATE ${table} SET a = 4 WHERE a = 3`);
  await db.commitAsync();
  check((await query(`SELECT a, words FROM ${table} ORDER BY a`)).map((row) => [row.a, row.words]), [[1, "ä😀 it's"], [2, null], [4, "\\"]]);
  await failsWith(1146, () => query("SELECT * FROM no_such_table"));
  await failsWith(1064, () => query("SELECT FROM WHERE"));
  await failsWith(1062, () => query(`INSERT INTO ${table} (a) VALUES (1)`));
  await failsWith(1045, () => connect({ password: "wrong" }).connectAsync());
  check((await query("DO CAST('x' AS SIGNED)")).warningCount > 0, true);
  const large = Buffer.alloc(17 << 20, "\xfe\x00'\\", "latin1");
  await query(`INSERT INTO ${table} (a, bytes) VALUES (99, ?)`, [large]);
  check((await query(`SELECT bytes FROM ${table} WHERE a = 99`))[0].bytes.equals(large), true, "a large row");

  // Several statements, procedures, rows as they come.
  const several = connect({ multipleStatements: true });
  const results = await several.queryAsync("SELECT 1 AS a; DO 2; SELECT 3 AS a");
  check([results[0][0].a, results[1].affectedRows, results[2][0].a], [1, 0, 3]);
  await query(`CREATE PROCEDURE ${table}_p (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1 AS a; SET b = a + 2; END`);
  const [first, second, end, [out]] = await several.queryAsync(`CALL ${table}_p(5, @b); SELECT @b AS b`);
  check([first[0].a, second[0].a, end.affectedRows, Number(out.b)], [5, 6, 0, 7]);
  const digits = `(${[...Array(10).keys()].map((n) => `SELECT ${n} n`).join(" UNION ")})`;
  const stream = several.query(`SELECT a.n + 10 * b.n + 100 * c.n AS n FROM ${digits} a, ${digits} b, ${digits} c`).stream({ highWaterMark: 5 });
  let sum = 0;
  for await (const row of stream) {
    sum += Number(row.n);
  }
  check(sum, 499500);
  await several.endAsync();

  await db.pingAsync();
  if (!process.env.DIRECT) {
    const tls = connect({ ssl: { rejectUnauthorized: false } });
    check((await tls.queryAsync("SELECT REPEAT('x', 3000000) AS x"))[0].x.length, 3000000);
    await tls.endAsync();
  }

  // A pool, whose sessions are used one after the other.
  const pool = mysql.createPool({ ...account, connectionLimit: 3 });
  const ask = promisify(pool.query).bind(pool);
  const asked = await Promise.all([...Array(30).keys()].map((n) => ask("SELECT ? + 0 AS n", [n])));
  check(asked.map(([row]) => Number(row.n)), [...Array(30).keys()]);
  if (!process.env.DIRECT) {
    // A replica must answer plain reads, as soon as it is fresh enough: nothing pins the session to the primary.
    for (const deadline = Date.now() + 10000; ; ) {
      const decision = (await ask("EXPLAIN ROUTE SELECT 1")).find((row) => row.step === "decision");
      if (decision.result !== "db1") {
        break;
      }
      check(Date.now() < deadline, true, `a read goes to the primary: ${decision.because}`);
    }
  }
  await promisify(pool.end).call(pool);
  await db.endAsync();
  console.log("good");
}

main().catch((failure) => {
  console.error(failure);
  process.exit(1);
});
