# Ruby's mysql2: mysql2_client.rb HOST PORT TABLE
require "mysql2"

HOST, PORT, TABLE = ARGV[0], ARGV[1].to_i, ARGV[2]

def connect(**options)
  Mysql2::Client.new(host: HOST, port: PORT, username: "app", password: "app", database: "guestbook", encoding: "utf8mb4", **options)
end

def check(got, want, what = "")
  raise "#{what}: got #{got.inspect[0, 500]}, want #{want.inspect[0, 500]}" unless got == want
end

def fails_with(code)
  yield
rescue Mysql2::Error => failure
  check(failure.error_number, code, failure.message)
else
  raise "no error #{code}"
end

db = connect
engine = db.server_info[:version].include?("MariaDB") ? "mariadb" : "mysql"

# Every type: as the server writes it, and as Ruby's own types.
types = File.readlines("#{__dir__}/every_type.tsv", chomp: true, encoding: "utf-8").map { |line| line.split("\t", -1) }
types = types.select { |where, *| ["any", engine].include?(where) }
columns = types.each_with_index.map { |(_, type), n| "c#{n} #{type}" }
db.query("CREATE TABLE #{TABLE}_t (id INT PRIMARY KEY AUTO_INCREMENT, #{columns.join(', ')})")
db.query("INSERT INTO #{TABLE}_t VALUES (NULL, #{types.map { |type| type[2] }.join(', ')})")
db.query("INSERT INTO #{TABLE}_t (id) VALUES (NULL)")
check(db.last_id, 2)
select = "SELECT #{types.each_index.map { |n| "c#{n}" }.join(', ')} FROM #{TABLE}_t ORDER BY id"
4.times do
  whole, empty = db.query(select, as: :array, cast: false).to_a
  types.zip(whole).each do |(_, type, _, want), got|
    want = [want.delete_prefix("hex:")].pack("H*") if want.start_with?("hex:")
    check(got.b, want.b, type)
  end
  check(empty.compact, [])
end
prepared = db.prepare("SELECT c6, c7, c8, c9, c10, c11, c12, c13, c17, c19, c24, c33 FROM #{TABLE}_t WHERE id = ?")
4.times do
  row = prepared.execute(1, as: :array, database_timezone: :utc).first
  check(row[0, 4], [-2147483648, 4294967295, -(2**63), 2**64 - 1])
  check(row[4].to_s("F"), "-12345678901234567890123456789012345.12345678901234567890123456789")
  check(row[5, 3], [-1.5, 0.1, Date.new(9999, 12, 31)])
  check(row[8], Time.utc(2024, 2, 29, 23, 59, 59, 1))
  check(row[9, 2], [2155, "Größe"])
  check(row[11].encoding, Encoding::BINARY)
  check(prepared.execute(2, as: :array).first.compact, [])
end
prepared.close

# Parameters, affected rows, transactions.
db.query("CREATE TABLE #{TABLE} (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, words VARCHAR(50) CHARACTER SET utf8mb4, bytes LONGBLOB)")
insert = db.prepare("INSERT INTO #{TABLE} (a, words, bytes) VALUES (?, ?, ?)")
[[1, "ä😀 it's", nil], [2, nil, "\x00\xff".b], [3, "", "x"]].each { |row| insert.execute(*row) }
check(insert.last_id, 3)
check((db.query("UPDATE #{TABLE} SET words = 'same'"); db.affected_rows), 3)
check((db.query("UPDATE #{TABLE} SET words = 'same'"); db.affected_rows), 0)
found = connect(flags: Mysql2::Client::FOUND_ROWS)
check((found.query("UPDATE #{TABLE} SET words = 'same'"); found.affected_rows), 3)
found.close
db.query("BEGIN")
db.query("DELETE FROM #{TABLE} WHERE a = 1")
db.query("SAVEPOINT one")
db.query("DELETE FROM #{TABLE}")
db.query("ROLLBACK TO one")
check(db.query("SELECT a FROM #{TABLE} ORDER BY a", as: :array).to_a, [[2], [3]])
db.query("ROLLBACK")
check(db.query("SELECT COUNT(*) AS n FROM #{TABLE}").first["n"], 3)
fails_with(1146) { db.query("SELECT * FROM no_such_table") }
fails_with(1064) { db.query("SELECT FROM WHERE") }
fails_with(1062) { insert.execute(3, nil, nil) }
fails_with(1045) { connect(password: "wrong") }
db.query("SELECT CAST('x' AS SIGNED)")
check(db.query("SHOW WARNINGS").first["Code"], 1292)
bytes = "\xfe\x00'\\".b * (1 << 18)
insert.execute(99, nil, bytes)
check(db.query("SELECT bytes FROM #{TABLE} WHERE a = 99").first["bytes"] == bytes, true)
insert.close

# Several results, rows as they come, and asynchronous statements.
several = connect(flags: Mysql2::Client::MULTI_STATEMENTS)
results = [several.query("SELECT 1 AS a; DO 2; SELECT 3 AS a").first]
results << several.store_result&.first while several.next_result
check(results, [{ "a" => 1 }, nil, { "a" => 3 }])
several.query("CREATE PROCEDURE #{TABLE}_p (IN a INT) BEGIN SELECT a; SELECT a + 1 AS a; END")
results = [several.query("CALL #{TABLE}_p(5)").first]
results << several.store_result&.first while several.next_result
check(results, [{ "a" => 5 }, { "a" => 6 }, nil])
several.close
digits = "(#{(0..9).map { |n| "SELECT #{n} n" }.join(' UNION ')})"
many = "SELECT a.n + 10 * b.n + 100 * c.n AS n FROM #{digits} a, #{digits} b, #{digits} c"
check(db.query(many, stream: true, cache_rows: false).sum { |row| row["n"] }, 499500)
db.query("SELECT SLEEP(0.05), 7 AS seven", async: true)
check(db.async_result.first["seven"], 7)
check(db.ping, true)
db.select_db("guestbook")

# A file of the client.
File.write("/tmp/load", (1000..1999).map { |n| "#{n}\tline #{n}\n" }.join)
loader = connect(local_infile: true, init_command: "SET time_zone = '+03:00'")
loader.query("LOAD DATA LOCAL INFILE '/tmp/load' INTO TABLE #{TABLE} (a, words)")
check(loader.affected_rows, 1000)
3.times { check(loader.query("SELECT @@time_zone AS zone").first["zone"], "+03:00") }

# A session that lost its connection is begun again by itself.
lasting = connect(reconnect: true)
thread = lasting.thread_id
db.query("KILL #{thread}")
begin
  lasting.query("SELECT 1")
rescue Mysql2::Error
  # The first statement may still learn of its end.
end
check(lasting.query("SELECT CONNECTION_ID() AS id").first["id"] != thread, true)

unless ENV["DIRECT"].to_s == "1"
  tls = connect(sslcipher: "HIGH", sslverify: false)
  check(tls.query("SELECT REPEAT('x', 3000000) AS x").first["x"], "x" * 3_000_000)
  5.times { tls.ping }
  5.times { tls.query("/* ping */ SELECT 1") }
  # A replica must answer plain reads, as soon as it is fresh enough: nothing pins the session to the primary.
  deadline = Time.now + 10
  while (decision = tls.query("EXPLAIN ROUTE SELECT 1").find { |row| row["step"] == "decision" })["result"] == "db1"
    raise "a read goes to the primary: #{decision}" if Time.now > deadline
  end
end
puts "good"
