<?php
// mysqli with mysqlnd: mysqli_client.php HOST PORT TABLE

require __DIR__ . '/common.php';

function connect(string $host, int $port, int $flags = 0, string $password = 'app', array $options = []): mysqli
{
    $connection = mysqli_init();
    foreach ($options as $option => $value) {
        $connection->options($option, $value);
    }
    $connection->real_connect($host, 'app', $password, 'guestbook', $port, null, $flags);
    return $connection;
}

$db = connect($host, $port);
$db->set_charset('utf8mb4');

// Every type, in text and prepared.
$types = every_type($db->server_info);
$columns = implode(', ', array_map(fn ($n, $type) => "c$n $type[0]", array_keys($types), $types));
$literals = implode(', ', array_column($types, 1));
$db->query("CREATE TABLE {$table}_t (id INT PRIMARY KEY AUTO_INCREMENT, $columns)");
$db->query("INSERT INTO {$table}_t VALUES (NULL, $literals)");
$db->query("INSERT INTO {$table}_t (id) VALUES (NULL)");
check($db->insert_id, 2, 'insert_id');
$names = implode(', ', array_map(fn ($n) => "c$n", array_keys($types)));
$select = "SELECT $names FROM {$table}_t ORDER BY id";
$prepared = $db->prepare($select);
for ($turn = 0; $turn < 4; $turn++) {
    foreach (['text' => $db->query($select), 'prepared' => $prepared->execute() ? $prepared->get_result() : null] as $how => $result) {
        foreach ($result->fetch_row() as $n => $value) {
            // mysqlnd gives the number of a BIT.
            $want = str_starts_with($types[$n][0], 'BIT') ? '16706' : $types[$n][2];
            check((string) $value, $want, "$how, {$types[$n][0]}");
        }
        check($result->fetch_row(), array_fill(0, count($types), null), "$how, NULL");
        check($result->fetch_row(), null);
    }
}
$prepared->close();

// Parameters, long data, affected rows.
$db->query("CREATE TABLE $table (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, words VARCHAR(50), bytes LONGBLOB)");
$insert = $db->prepare("INSERT INTO $table (a, words, bytes) VALUES (?, ?, ?)");
[$a, $words, $bytes] = [1, "it's ä", null];
$insert->bind_param('isb', $a, $words, $bytes);
for ($piece = 0; $piece < 17; $piece++) {
    $insert->send_long_data(2, str_repeat(chr(250 + $piece % 6), 1 << 20));
}
$insert->execute();
check($insert->affected_rows, 1);
check($insert->insert_id, 1);
[$a, $words] = [2, null];
$insert->execute();
$insert->close();
check($db->query("SELECT LENGTH(bytes) FROM $table WHERE a = 1")->fetch_row(), [(string) (17 << 20)]);
$long = $db->query("SELECT bytes FROM $table WHERE a = 1")->fetch_row()[0];
check(strlen($long), 17 << 20);
check(substr($long, (16 << 20) - 1, 2), "\xfd\xfe");
check($db->query("UPDATE $table SET words = 'same'"), true);
check($db->affected_rows, 2);
$db->query("UPDATE $table SET words = 'same'");
check($db->affected_rows, 0);
check($db->info, 'Rows matched: 2  Changed: 0  Warnings: 0');
$found = connect($host, $port, MYSQLI_CLIENT_FOUND_ROWS);
$found->query("UPDATE $table SET words = 'same'");
check($found->affected_rows, 2, 'found rows');
$found->close();

// Transactions.
$db->begin_transaction();
$db->query("DELETE FROM $table WHERE a = 1");
$db->savepoint('one');
$db->query("DELETE FROM $table");
$db->query('ROLLBACK TO one');
check($db->query("SELECT a FROM $table")->fetch_all(), [['2']]);
$db->rollback();
check($db->query("SELECT COUNT(*) FROM $table")->fetch_row(), ['2']);
$db->autocommit(false);
$db->query("INSERT INTO $table (a) VALUES (3)");
$db->commit();
$db->autocommit(true);
$db->begin_transaction(MYSQLI_TRANS_START_READ_ONLY);
check($db->query("SELECT COUNT(*) FROM $table")->fetch_row(), ['3']);
fails_with(1792, fn () => $db->query("DELETE FROM $table"));
$db->commit();

// Errors and warnings.
fails_with(1146, fn () => $db->query('SELECT * FROM no_such_table'));
fails_with(1064, fn () => $db->query('SELECT FROM WHERE'));
fails_with(1062, fn () => $db->query("INSERT INTO $table (a) VALUES (3)"));
check($db->sqlstate, '23000');
fails_with(1064, fn () => $db->query('SELECT 1; SELECT 2'));
fails_with(1146, fn () => $db->prepare('SELECT * FROM no_such_table'));
fails_with(1045, fn () => connect($host, $port, 0, 'wrong'));
fails_with(1045, fn () => connect($host, $port, 0, ''));
$db->query("SELECT CAST('x' AS SIGNED)");
check($db->warning_count, 1);
check($db->get_warnings()->errno, 1292);

// Several results.
$db->multi_query("SELECT 1; INSERT INTO $table (a) VALUES (4); SELECT a FROM $table WHERE a > 2 ORDER BY a; SELECT * FROM no_such_table");
$results = [];
try {
    do {
        $result = $db->store_result();
        $results[] = $result ? $result->fetch_all() : $db->affected_rows;
    } while ($db->next_result());
} catch (mysqli_sql_exception $failure) {
    check($failure->getCode(), 1146);
}
check($results, [[['1']], 1, [['3'], ['4']]]);
$db->query("CREATE PROCEDURE {$table}_p (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1, 'two'; SET b = a + 2; END");
$db->multi_query("CALL {$table}_p(5, @b)");
$results = [];
do {
    $result = $db->store_result();
    $results[] = $result ? $result->fetch_row() : null;
} while ($db->next_result());
check($results, [['5'], ['6', 'two'], null]);
check($db->query('SELECT @b')->fetch_row(), ['7']);
$call = $db->prepare("CALL {$table}_p(?, @b)");
$call->execute([8]);
$results = [];
do {
    $result = $call->get_result();
    $results[] = $result ? $result->fetch_row() : null;
} while ($call->next_result());
check($results, [[8], [9, 'two'], null]);
$call->close();

// Rows as they come, a cursor, and other statements after an unfinished result.
$digits = '(SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)';
$many = "SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n, REPEAT('x', 100) FROM $digits a, $digits b, $digits c, $digits d";
$sum = 0;
foreach ($db->query($many, MYSQLI_USE_RESULT) as $row) {
    $sum += (int) array_values($row)[0];
}
check($sum, 49995000);
$result = $db->query($many, MYSQLI_USE_RESULT);
$result->fetch_row();
fails_with(2014, fn () => $db->query('SELECT 1'));
$result->free();
$cursor = $db->prepare($many);
$cursor->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
$cursor->execute();
$cursor->bind_result($number, $text);
for ($sum = 0; $cursor->fetch();) {
    $sum += $number;
}
check($sum, 49995000, 'a cursor');
$cursor->close();

// A file of the client.
$file = tempnam('/tmp', 'load');
file_put_contents($file, implode('', array_map(fn ($n) => "$n\tline $n\n", range(100, 5099))));
$loader = connect($host, $port, 0, 'app', [MYSQLI_OPT_LOCAL_INFILE => true]);
$loader->query("LOAD DATA LOCAL INFILE '$file' INTO TABLE $table (a, words)");
check($loader->affected_rows, 5000);
check($loader->query("SELECT COUNT(*), MAX(a) FROM $table WHERE a >= 100")->fetch_row(), ['5000', '5099']);
$loader->close();

// TLS, and the connection's other commands.
$tls = connect($host, $port, getenv('DIRECT') ? 0 : MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT);
check($tls->query("SELECT REPEAT('x', 3000000)")->fetch_row()[0], str_repeat('x', 3000000));
$tls->close();
$asynchronous = connect($host, $port);
$asynchronous->query('SELECT SLEEP(0.05), 7', MYSQLI_ASYNC);
check($asynchronous->reap_async_query()->fetch_row(), ['0', '7']);
check($db->stat() !== '', true);
$db->select_db('guestbook');
$db->query("KILL {$asynchronous->thread_id}");
fails_with(2006, fn () => $asynchronous->query('SELECT 1'));

// What validates a connection, or makes it read-only, pins nothing.
if (!getenv('DIRECT')) {
    $fresh = connect($host, $port);
    $explain = fn ($sql) => $fresh->query($sql)->fetch_all(MYSQLI_ASSOC);
    reads_go_to_a_replica($explain);
    $fresh->query("SELECT CAST('x' AS SIGNED)");
    for ($turn = 0; $turn < 5; $turn++) {
        $fresh->query('/* ping */ SELECT 1');
    }
    $fresh->query('SET SESSION TRANSACTION READ ONLY');
    reads_go_to_a_replica($explain);
    $fresh->close();
}
$db->close();
echo "good\n";
