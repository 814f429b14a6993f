<?php
// PDO with mysqlnd: pdo_client.php HOST PORT TABLE

require __DIR__ . '/common.php';

function connect(string $host, int $port, array $options = [], string $password = 'app'): PDO
{
    return new PDO("mysql:host=$host;port=$port;dbname=guestbook;charset=utf8mb4", 'app', $password, $options);
}

$db = connect($host, $port);
$version = $db->getAttribute(PDO::ATTR_SERVER_VERSION);

// Every type: emulated prepared statements are text, native ones are not.
$types = every_type($version);
$columns = implode(', ', array_map(fn ($n, $type) => "c$n $type[0]", array_keys($types), $types));
$literals = implode(', ', array_column($types, 1));
$db->exec("CREATE TABLE {$table}_t (id INT PRIMARY KEY AUTO_INCREMENT, $columns)");
check($db->exec("INSERT INTO {$table}_t VALUES (NULL, $literals)"), 1);
check($db->lastInsertId(), '1');
$names = implode(', ', array_map(fn ($n) => "c$n", array_keys($types)));
foreach ([true, false] as $emulated) {
    $db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
    $select = $db->prepare("SELECT $names FROM {$table}_t WHERE id > :id");
    for ($turn = 0; $turn < 4; $turn++) {
        $select->execute(['id' => 0]);
        foreach ($select->fetch(PDO::FETCH_NUM) as $n => $value) {
            $want = str_starts_with($types[$n][0], 'BIT') ? '16706' : $types[$n][2];
            check((string) $value, $want, "emulated: $emulated, {$types[$n][0]}");
        }
        check($select->fetch(), false);
    }
}

// Transactions, with named and unnamed parameters.
$db->exec("CREATE TABLE $table (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, bytes LONGBLOB)");
foreach ([true, false] as $emulated) {
    $db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
    $db->beginTransaction();
    $insert = $db->prepare("INSERT INTO $table (a, bytes) VALUES (?, ?)");
    foreach ([10, 20, 30] as $a) {
        $insert->execute([$a + (int) $emulated, "\x00\xff'\\"]);
    }
    check($db->inTransaction(), true);
    $db->commit();
    $db->beginTransaction();
    $delete = $db->prepare("DELETE FROM $table WHERE a >= :a");
    $delete->bindValue('a', 20, PDO::PARAM_INT);
    $delete->execute();
    check($delete->rowCount(), $emulated ? 2 : 4);
    $db->rollBack();
    check($db->query("SELECT bytes FROM $table WHERE a = 1 + 10")->fetchColumn(), "\x00\xff'\\");
    fails_with(1062, fn () => $insert->execute([20 + (int) $emulated, null]));
    fails_with(1146, fn () => $db->query('SELECT * FROM no_such_table'));
    fails_with(1064, fn () => $db->query('SELECT FROM WHERE'));
}
fails_with(1045, fn () => connect($host, $port, [], 'wrong'));

// An implicit commit is noticed: PDO reads the status flags.
$db->beginTransaction();
$db->exec("CREATE TABLE {$table}_implicit (a INT)");
check($db->inTransaction(), false);

// Large rows both ways, buffered and not.
foreach ([true, false] as $buffered) {
    $large = connect($host, $port, [PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => $buffered, PDO::ATTR_EMULATE_PREPARES => $buffered]);
    $bytes = str_repeat("\xfe\x00'x", 1 << 18);
    $insert = $large->prepare("REPLACE INTO $table (a, bytes) VALUES (99, ?)");
    $insert->bindValue(1, $bytes, PDO::PARAM_LOB);
    $insert->execute();
    check($large->query("SELECT bytes FROM $table WHERE a = 99")->fetchAll(PDO::FETCH_COLUMN)[0] === $bytes, true);
}

// Several results.
$db->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
$db->exec("CREATE PROCEDURE {$table}_p (IN a INT) BEGIN SELECT a; SELECT a + 1, 'two'; END");
foreach ([true, false] as $emulated) {
    $db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
    $call = $db->prepare("CALL {$table}_p(?)");
    $call->execute([5]);
    $results = [];
    do {
        $rows = $call->columnCount() ? $call->fetchAll(PDO::FETCH_NUM) : [];
        $results[] = array_map('strval', $rows[0] ?? []);
    } while ($call->nextRowset());
    check(array_slice($results, 0, 2), [['5'], ['6', 'two']]);
    $call->closeCursor();
}
$db->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
$several = $db->query('SELECT 1; DO 2; SELECT 3');
check([$several->fetchColumn(), $several->nextRowset(), $several->nextRowset(), $several->fetchColumn()], [1, true, true, 3]);
$several = null;

// Options of a connection, and TLS.
$other = connect($host, $port, [
    PDO::MYSQL_ATTR_INIT_COMMAND => "SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES'",
    PDO::MYSQL_ATTR_FOUND_ROWS => true,
] + (getenv('DIRECT') ? [] : [
    PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false,
    PDO::MYSQL_ATTR_SSL_CA => '/etc/ssl/certs/ca-certificates.crt',
]));
for ($turn = 0; $turn < 4; $turn++) {
    check($other->query('SELECT @@time_zone, @@sql_mode, "id" FROM ' . $table . ' LIMIT 1')->fetch(PDO::FETCH_NUM)[0], '+03:00');
}
check($other->exec("UPDATE $table SET a = a"), 7);
check($other->query("SHOW STATUS LIKE 'Ssl_cipher'")->rowCount(), 1);
$other = null;

// A file of the client.
$file = tempnam('/tmp', 'load');
file_put_contents($file, implode('', array_map(fn ($n) => "$n\n", range(100, 2099))));
$loader = connect($host, $port, [PDO::MYSQL_ATTR_LOCAL_INFILE => true]);
check($loader->exec("LOAD DATA LOCAL INFILE '$file' INTO TABLE $table (a)"), 2000);

// A persistent connection that a request left in a transaction is the next request's, which begins by a rollback as PHP's manual advises.
$persistent = [PDO::ATTR_PERSISTENT => true];
$first = connect($host, $port, $persistent);
$number = $first->query('SELECT CONNECTION_ID()')->fetchColumn();
$first->beginTransaction();
$first->exec("DELETE FROM $table");
$first = null;
$second = connect($host, $port, $persistent);
check($second->query('SELECT CONNECTION_ID()')->fetchColumn(), $number);
$second->exec('ROLLBACK');
check($second->query("SELECT COUNT(*) FROM $table")->fetchColumn(), 2007);
if (!getenv('DIRECT')) {
    for ($turn = 0; $turn < 3; $turn++) {
        $second = null;
        $second = connect($host, $port, $persistent);
        reads_go_to_a_replica(fn ($sql) => $second->query($sql)->fetchAll(PDO::FETCH_ASSOC));
    }
}
echo "good\n";
