#!/bin/bash
# mysqldump or mariadb-dump of a schema, loaded into another one: dump.sh HOST PORT FROM INTO DUMP CLIENT
set -euo pipefail

host=$1 port=$2 from=$3 into=$4 dump=$5 client=$6
account=(--protocol=tcp --host="$host" --port="$port" --user=app --password=app --default-character-set=utf8mb4)
options=(--single-transaction --routines --triggers --skip-dump-date --skip-comments --no-tablespaces)
# What an account without global privileges cannot read.
[[ $dump != mysqldump ]] || options+=(--set-gtid-purged=OFF --skip-masking-policies)
quiet() { "$@" 2> >(grep -v -e 'password on the command line' -e 'insecure' >&2); }
run() { quiet "$client" "${account[@]}" --batch --skip-column-names "$@"; }
save() { quiet "$dump" "${account[@]}" "${options[@]}" "$@"; }

run "$from" <<'END'
CREATE TABLE guest (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) CHARACTER SET utf8mb4, photo BLOB, seen TIMESTAMP NULL, changes INT DEFAULT 0);
CREATE TABLE visit (guest INT, day DATE, FOREIGN KEY (guest) REFERENCES guest (id));
INSERT INTO guest (name, photo, seen) VALUES ('ä😀 it''s "quoted" \\', x'00ff1a270d0a', '2024-02-29 12:00:00'), (NULL, NULL, NULL);
INSERT INTO guest (name, photo) SELECT a.name, REPEAT('x', 50000) FROM guest a, guest b, guest c, guest d, guest e;
INSERT INTO visit SELECT id, '2024-02-29' FROM guest;
CREATE VIEW recent AS SELECT g.name, v.day FROM guest g JOIN visit v ON v.guest = g.id;
DELIMITER //
CREATE TRIGGER counted BEFORE UPDATE ON guest FOR EACH ROW BEGIN SET NEW.changes = OLD.changes + 1; END//
CREATE FUNCTION twice (n INT) RETURNS INT DETERMINISTIC BEGIN RETURN 2 * n; END//
CREATE PROCEDURE visits (IN who INT) BEGIN SELECT COUNT(*) FROM visit WHERE guest = who; END//
DELIMITER ;
END
save "$from" >/tmp/first.sql
run "$into" </tmp/first.sql
save "$into" >/tmp/second.sql
# A view's text names its schema.
cmp <(sed "s/\`$from\`/\`$into\`/g" /tmp/first.sql) /tmp/second.sql
[[ $(wc -c </tmp/second.sql) -gt 1600000 ]]
[[ $(run "$into" <<<"UPDATE guest SET name = 'x' WHERE id = 1; SELECT changes, twice(4) FROM guest WHERE id = 1; CALL visits(1)") == $'1\t8\n1' ]]
echo good
