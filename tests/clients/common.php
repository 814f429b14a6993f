<?php
// What the PHP scripts have in common.

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
error_reporting(E_ALL);
set_error_handler(function ($level, $text, $file, $line) { throw new ErrorException($text, 0, $level, $file, $line); });

[, $host, $port, $table] = $argv;
$port = (int) $port;

function check($got, $want, string $what = ''): void
{
    if ($got !== $want) {
        throw new Exception("$what: got " . substr(var_export($got, true), 0, 500) . ', want ' . substr(var_export($want, true), 0, 500));
    }
}

/** Runs what must fail with this MySQL error number. */
function fails_with(int $code, callable $action): void
{
    try {
        $action();
    } catch (mysqli_sql_exception $failure) {
        check($failure->getCode(), $code, $failure->getMessage());
        return;
    } catch (PDOException $failure) {
        check($failure->errorInfo[1], $code, $failure->getMessage());
        return;
    }
    throw new Exception("no error $code");
}

/** Type, literal and value of every type that the engine has. */
function every_type(string $version): array
{
    $engine = str_contains($version, 'MariaDB') ? 'mariadb' : 'mysql';
    $types = [];
    foreach (file(__DIR__ . '/every_type.tsv') as $line) {
        [$where, $type, $literal, $value] = explode("\t", rtrim($line, "\n"));
        if ($where === 'any' || $where === $engine) {
            $types[] = [$type, $literal, str_starts_with($value, 'hex:') ? hex2bin(substr($value, 4)) : $value];
        }
    }
    return $types;
}

/** A replica must answer plain reads, as soon as it has what the session wrote: nothing pins the session to the primary. */
function reads_go_to_a_replica(callable $explain): void
{
    for ($deadline = microtime(true) + 10; ; usleep(10000)) {
        [$decision] = array_values(array_filter($explain('EXPLAIN ROUTE SELECT 1'), fn ($row) => $row['step'] === 'decision'));
        if ($decision['result'] !== 'db1') {
            return;
        }
        if (microtime(true) > $deadline) {
            throw new Exception("a read goes to the primary: {$decision['because']}");
        }
    }
}
