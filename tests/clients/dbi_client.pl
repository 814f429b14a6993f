#!/usr/bin/perl
# DBI with DBD::mysql or DBD::MariaDB: dbi_client.pl HOST PORT TABLE DRIVER

use strict;
use warnings;
use utf8;
use DBI;
use Encode qw(encode_utf8 decode_utf8);
use FindBin qw($Bin);
$SIG{__WARN__} = sub { die @_ };

my ($host, $port, $table, $driver) = @ARGV;
my $prefix = lc $driver;
# DBD::MariaDB always speaks UTF-8; DBD::mysql has to be asked.
my @utf8 = $driver eq 'mysql' ? (mysql_enable_utf8mb4 => 1) : ();

sub connect_as {
    my ($password, %options) = @_;
    my $dsn = "DBI:$driver:database=guestbook;host=$host;port=$port" . (delete $options{dsn} // '');
    return DBI->connect($dsn, 'app', $password, { RaiseError => 1, PrintError => 0, @utf8, %options });
}

sub check {
    my ($got, $want, $what) = @_;
    $_ = defined $_ ? "'" . encode_utf8($_) . "'" : 'undef' for $got, $want;
    die(($what // 'a check') . ": got $got, want $want, line " . (caller)[2] . "\n") unless $got eq $want;
}

# Runs what must fail with this MySQL error number.
sub fails_with {
    my ($code, $action) = @_;
    eval { $action->(); 1 } and die "no error $code\n";
    die $@ unless ($DBI::err // 0) == $code;
}

sub rows { join '; ', map { join ', ', map { $_ // 'NULL' } @$_ } @{ $_[0] } }

my $db = connect_as('app');
my $version = $db->selectrow_array('SELECT VERSION()');

# Every type, in text and prepared.
my $engine = $version =~ /MariaDB/ ? 'mariadb' : 'mysql';
my @types;
open my $file, '<:encoding(UTF-8)', "$Bin/every_type.tsv" or die $!;
while (<$file>) {
    chomp;
    my ($where, @type) = split /\t/, $_, -1;
    push @types, \@type if $where eq 'any' || $where eq $engine;
}
my $columns = join ', ', map { "c$_ $types[$_][0]" } 0 .. $#types;
my $literals = join ', ', map { $_->[1] } @types;
my $names = join ', ', map { "c$_" } 0 .. $#types;
$db->do("CREATE TABLE ${table}_t (id INT PRIMARY KEY AUTO_INCREMENT, $columns)");
$db->do("INSERT INTO ${table}_t VALUES (NULL, $literals)");
$db->do("INSERT INTO ${table}_t (id) VALUES (NULL)");
check($db->last_insert_id(undef, undef, undef, undef), 2);
for my $server_side (0, 1) {
    my $select = $db->prepare("SELECT $names FROM ${table}_t ORDER BY id", { "${prefix}_server_prepare" => $server_side });
    for (1 .. 4) {
        $select->execute;
        my $row = $select->fetchrow_arrayref;
        for my $n (0 .. $#types) {
            my ($type, undef, $value) = @{ $types[$n] };
            my $is_bytes = $value =~ s/^hex://;
            # From any server, DBD::MariaDB 1.22 reads only the first few columns of a prepared statement, and the rest as empty strings.
            next if $server_side && $driver eq 'MariaDB' && $n > 3;
            check($is_bytes ? unpack('H*', $row->[$n]) : $row->[$n], $value, "server side: $server_side, $type");
        }
        check((grep { defined } @{ $select->fetchrow_arrayref }) + 0, 0);
        die if $select->fetchrow_arrayref;
    }
}

# Parameters, affected rows, transactions.
$db->do("CREATE TABLE $table (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, words VARCHAR(50) CHARACTER SET utf8mb4, bytes LONGBLOB)");
for my $server_side (0, 1) {
    my $base = 100 * $server_side;
    my $insert = $db->prepare("INSERT INTO $table (a, words) VALUES (?, ?)", { "${prefix}_server_prepare" => $server_side });
    check($insert->execute($base + $_, "ä😀 it's"), 1) for 1 .. 3;
    check($insert->execute($base + 4, undef), 1);
    check($db->do("UPDATE $table SET words = 'same' WHERE a > $base"), 4);
    $db->begin_work;
    $db->do("DELETE FROM $table WHERE a = ?", {}, $base + 1);
    $db->do('SAVEPOINT one');
    $db->do("DELETE FROM $table");
    $db->do('ROLLBACK TO one');
    check(rows($db->selectall_arrayref("SELECT a FROM $table WHERE a > $base ORDER BY a")), join '; ', map { $base + $_ } 2 .. 4);
    $db->rollback;
    check($db->selectrow_array("SELECT COUNT(*) FROM $table WHERE a > $base"), 4);
    fails_with(1062, sub { $insert->execute($base + 1, '') });
    fails_with(1146, sub { $db->selectall_arrayref('SELECT * FROM no_such_table') });
    fails_with(1064, sub { $db->do('SELECT FROM WHERE') });
}
fails_with(1045, sub { connect_as('wrong') });
{
    local $db->{AutoCommit} = 0;
    $db->do("DELETE FROM $table WHERE a = 1");
    $db->commit;
    $db->do("DELETE FROM $table");
    $db->rollback;
}
check($db->selectrow_array("SELECT COUNT(*) FROM $table"), 7);
$db->do("SELECT CAST('x' AS SIGNED)");
check($db->selectrow_arrayref('SHOW WARNINGS')->[1], 1292);

# More than a packet: DBD::MariaDB uses the same C library.
my $quarter = $driver eq 'mysql' ? 17 << 18 : 1 << 18;
my $large = connect_as('app', dsn => ";${prefix}_max_allowed_packet=100000000");
my $bytes = "\xfe\x00'\\" x $quarter;
my $insert = $large->prepare("INSERT INTO $table (a, bytes) VALUES (999, ?)", { "${prefix}_server_prepare" => 1 });
$insert->bind_param(1, $bytes, DBI::SQL_BLOB);
$insert->execute;
die 'a large row differs' unless $large->selectrow_array("SELECT bytes FROM $table WHERE a = 999") eq $bytes;
$large->disconnect;

# Several results, and rows as they come, which DBD::MariaDB 1.22 loses with any server.
$db->do("CREATE PROCEDURE ${table}_p (IN a INT) BEGIN SELECT a; SELECT a + 1, 'two'; END");
# Nobody reads these results: the C library learns from the column definitions alone that more follow.
$db->do("CALL ${table}_p(5)");
check($db->selectrow_array('SELECT 7'), 7);
my $call = $db->prepare("CALL ${table}_p(5)");
$call->execute;
my @results;
do { push @results, rows($call->fetchall_arrayref) if $call->{NUM_OF_FIELDS} } while $call->more_results;
check("@results", '5 6, two');
my $digits = '(' . join(' UNION ', map { "SELECT $_ n" } 0 .. 9) . ')';
my $streamed = $db->prepare("SELECT a.n + 10 * b.n + 100 * c.n FROM $digits a, $digits b, $digits c", { $driver eq 'mysql' ? (mysql_use_result => 1) : () });
$streamed->execute;
my $sum = 0;
while (my ($n) = $streamed->fetchrow_array) { $sum += $n }
check($sum, 499500);

# What the driver asks the server for itself.
check($db->ping, 1);
check(join(' ', map { $_->{COLUMN_NAME} } @{ $db->column_info(undef, undef, $table, '%')->fetchall_arrayref({}) }), 'id a words bytes');
check(join(' ', $db->primary_key(undef, 'guestbook', $table)), 'id');
die 'no such table' unless grep { /\b$table\b/ } $db->tables;

# A file of the client.
open my $load, '>', "/tmp/load" or die $!;
print $load "$_\tline $_\n" for 1000 .. 1999;
close $load;
my $loader = connect_as('app', dsn => ";${prefix}_local_infile=1");
check($loader->do("LOAD DATA LOCAL INFILE '/tmp/load' INTO TABLE $table (a, words)"), 1000);
$loader->disconnect;

# A session that lost its connection is begun again by itself.
my $lasting = connect_as('app', "${prefix}_auto_reconnect" => 1);
my $number = $lasting->selectrow_array('SELECT CONNECTION_ID()');
$db->do("KILL $number");
# The first statement may still learn of its end.
eval { $lasting->selectrow_array('SELECT 1') };
die 'the same session' if $lasting->selectrow_array('SELECT CONNECTION_ID()') == $number;
$lasting->disconnect;

unless ($ENV{DIRECT}) {
    my $tls = connect_as('app', dsn => ";${prefix}_ssl=1;${prefix}_ssl_optional=1");
    check($tls->selectrow_array("SELECT REPEAT('x', 3000000)"), 'x' x 3000000);
    $tls->ping for 1 .. 5;
    # A replica must answer plain reads, as soon as it is fresh enough: nothing pins the session to the primary.
    my $deadline = time + 10;
    my $decision;
    do {
        ($decision) = grep { $_->[0] eq 'decision' } @{ $tls->selectall_arrayref('EXPLAIN ROUTE SELECT 1') };
        die "a read goes to the primary: $decision->[3]" if time > $deadline;
    } while ($decision->[2] eq 'db1');
    $tls->disconnect;
}
$db->disconnect;
print "good\n";
