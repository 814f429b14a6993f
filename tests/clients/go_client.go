// Go's database/sql with go-sql-driver/mysql: go_client.go HOST PORT TABLE
package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

var table = os.Args[3]

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(got, want interface{}, what string) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		panic(fmt.Sprintf("%s: got %.500v, want %.500v", what, got, want))
	}
}

func failsWith(number uint16, err error) {
	var server *mysql.MySQLError
	if !errors.As(err, &server) || server.Number != number {
		panic(fmt.Sprintf("not error %d: %v", number, err))
	}
}

func open(password, parameters string) *sql.DB {
	db, err := sql.Open("mysql", fmt.Sprintf("app:%s@tcp(%s:%s)/guestbook?charset=utf8mb4&maxAllowedPacket=0%s", password, os.Args[1], os.Args[2], parameters))
	must(err)
	return db
}

func exec(db *sql.DB, query string, arguments ...interface{}) sql.Result {
	result, err := db.Exec(query, arguments...)
	must(err)
	return result
}

func number(db *sql.DB, query string, arguments ...interface{}) (n int64) {
	must(db.QueryRow(query, arguments...).Scan(&n))
	return
}

// What is written as a number or a text, or in hexadecimal.
func everyType(db *sql.DB) {
	var version, engine string
	must(db.QueryRow("SELECT VERSION()").Scan(&version))
	if engine = "mysql"; strings.Contains(version, "MariaDB") {
		engine = "mariadb"
	}
	file, err := os.Open("every_type.tsv")
	must(err)
	var columns, literals, names, types []string
	var values []interface{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		field := strings.Split(lines.Text(), "\t")
		if field[0] != "any" && field[0] != engine {
			continue
		}
		name := fmt.Sprintf("c%d", len(names))
		columns, literals, names, types = append(columns, name+" "+field[1]), append(literals, field[2]), append(names, name), append(types, field[1])
		value := []byte(field[3])
		if text := strings.TrimPrefix(field[3], "hex:"); text != field[3] {
			value, err = hex.DecodeString(text)
			must(err)
		}
		values = append(values, value)
	}
	exec(db, fmt.Sprintf("CREATE TABLE %s_t (id INT PRIMARY KEY AUTO_INCREMENT, %s)", table, strings.Join(columns, ", ")))
	exec(db, fmt.Sprintf("INSERT INTO %s_t VALUES (NULL, %s)", table, strings.Join(literals, ", ")))
	id, err := exec(db, fmt.Sprintf("INSERT INTO %s_t (id) VALUES (NULL)", table)).LastInsertId()
	must(err)
	check(id, 2, "LastInsertId")
	for turn := 0; turn < 4; turn++ {
		// Without arguments it is text, with one it is prepared.
		for _, arguments := range [][]interface{}{nil, {0}} {
			query := fmt.Sprintf("SELECT %s FROM %s_t WHERE id > %s ORDER BY id", strings.Join(names, ", "), table, "0")
			if arguments != nil {
				query = strings.Replace(query, "id > 0", "id > ?", 1)
			}
			rows, err := db.Query(query, arguments...)
			must(err)
			got := make([]sql.RawBytes, len(values))
			into := make([]interface{}, len(values))
			for n := range got {
				into[n] = &got[n]
			}
			check(rows.Next(), true, "a row")
			must(rows.Scan(into...))
			for n := range got {
				check([]byte(got[n]), values[n], fmt.Sprintf("arguments: %v, %s", arguments, types[n]))
			}
			check(rows.Next(), true, "a row of NULL")
			must(rows.Scan(into...))
			for n := range got {
				check(got[n] == nil, true, "NULL of "+types[n])
			}
			check(rows.Next(), false, "the end")
			must(rows.Close())
		}
	}
}

func transactions(db *sql.DB) {
	exec(db, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, words VARCHAR(50) CHARACTER SET utf8mb4, bytes LONGBLOB, moment DATETIME(6))", table))
	insert, err := db.Prepare("INSERT INTO " + table + " (a, words, bytes, moment) VALUES (?, ?, ?, ?)")
	must(err)
	now := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	for a, words := range []interface{}{"ä😀 it's", nil, "\\"} {
		_, err = insert.Exec(a+1, words, []byte{0, 255}, now)
		must(err)
	}
	_, err = insert.Exec(3, nil, nil, nil)
	failsWith(1062, err)
	must(insert.Close())
	for _, query := range []string{"UPDATE " + table + " SET words = 'same'", "UPDATE " + table + " SET words = 'same' WHERE a > ?"} {
		arguments := []interface{}{0}[:strings.Count(query, "?")]
		affected, err := exec(db, query, arguments...).RowsAffected()
		must(err)
		check(affected, 3*(1-len(arguments)), "affected rows")
	}
	must(readBack(db, now))

	ctx := context.Background()
	for _, isolation := range []sql.IsolationLevel{sql.LevelDefault, sql.LevelSerializable, sql.LevelReadCommitted} {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: isolation})
		must(err)
		for _, query := range []string{"DELETE FROM %s WHERE a = 1", "SAVEPOINT one", "DELETE FROM %s", "ROLLBACK TO one"} {
			if strings.Contains(query, "%s") {
				query = fmt.Sprintf(query, table)
			}
			_, err = tx.Exec(query)
			must(err)
		}
		var n int
		must(tx.QueryRow("SELECT COUNT(*) FROM "+table+" WHERE a > ?", 0).Scan(&n))
		check(n, 2, "after the savepoint")
		must(tx.Rollback())
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	must(err)
	_, err = tx.Exec("DELETE FROM " + table)
	failsWith(1792, err)
	must(tx.Commit())
	check(number(db, "SELECT COUNT(*) FROM "+table), 3, "after all")
}

func readBack(db *sql.DB, now time.Time) error {
	var moment time.Time
	if err := db.QueryRow("SELECT moment FROM "+table+" WHERE a = ?", 1).Scan(&moment); err != nil {
		return err
	}
	check(moment, now, "a time")
	return nil
}

func large(db *sql.DB) {
	interpolating := open("app", "&interpolateParams=true")
	for size, db := range map[int]*sql.DB{17 << 20: db, 1 << 20: interpolating} {
		value := bytes.Repeat([]byte("\xfe\x00'\\"), size/4)
		var got []byte
		exec(db, "REPLACE INTO "+table+" (a, bytes) VALUES (?, ?)", 99, value)
		must(db.QueryRow("SELECT bytes FROM "+table+" WHERE a = ?", 99).Scan(&got))
		check(bytes.Equal(got, value), true, "a large value")
	}
}

func severalResults() {
	db := open("app", "&multiStatements=true")
	exec(db, fmt.Sprintf("CREATE PROCEDURE %s_p (IN a INT) BEGIN SELECT a; SELECT a + 1; END", table))
	for query, want := range map[string]string{"SELECT 1; SELECT 2": "[1 2]", "CALL " + table + "_p(5)": "[5 6]"} {
		rows, err := db.Query(query)
		must(err)
		var got []int
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var n int
				must(rows.Scan(&n))
				got = append(got, n)
			}
		}
		must(rows.Close())
		check(got, want, query)
	}
	_, err := open("app", "").Exec("DO 1; DO 2")
	failsWith(1064, err)
}

func files() {
	mysql.RegisterReaderHandler("lines", func() io.Reader {
		reader, writer := io.Pipe()
		go func() {
			for n := 1000; n < 2000; n++ {
				fmt.Fprintf(writer, "%d\tline %d\n", n, n)
			}
			writer.Close()
		}()
		return reader
	})
	affected, err := exec(open("app", ""), "LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE "+table+" (a, words)").RowsAffected()
	must(err)
	check(affected, 1000, "a file")
}

// A pool that many share, whose connections are validated by a ping and end after a moment.
func pool() {
	db := open("app", "&time_zone=%27%2B03%3A00%27")
	db.SetMaxOpenConns(4)
	db.SetConnMaxLifetime(20 * time.Millisecond)
	var all sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			for turn := 0; turn < 5; turn++ {
				must(db.Ping())
				check(number(db, "SELECT ? + 0", worker), worker, "a worker")
				var zone string
				must(db.QueryRow("SELECT @@time_zone").Scan(&zone))
				check(zone, "+03:00", "the time zone")
			}
		}(worker)
	}
	all.Wait()
	// A statement that is given up ends its connection, and no other.
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(ctx, "DO SLEEP(30)")
	check(errors.Is(err, context.DeadlineExceeded), true, fmt.Sprint(err))
	must(db.Ping())
}

// A replica must answer plain reads, as soon as it is fresh enough: nothing pins the session to the primary.
func readsGoToAReplica(db *sql.DB) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		server, because := decision(db)
		if server != "db1" {
			return
		}
		check(time.Now().Before(deadline), true, "a read goes to the primary: "+because)
	}
}

func decision(db *sql.DB) (server, why string) {
	rows, err := db.Query("EXPLAIN ROUTE SELECT 1")
	must(err)
	for rows.Next() {
		var step, subject, result, because string
		var role, staleness, weight sql.NullString
		must(rows.Scan(&step, &subject, &result, &because, &role, &staleness, &weight))
		if step == "decision" {
			server, why = result, because
		}
	}
	must(rows.Err())
	return
}

func main() {
	db := open("app", "")
	everyType(db)
	transactions(open("app", "&parseTime=true"))
	large(db)
	_, err := db.Exec("SELECT * FROM no_such_table")
	failsWith(1146, err)
	_, err = db.Prepare("SELECT FROM WHERE")
	failsWith(1064, err)
	failsWith(1045, open("wrong", "").Ping())
	check(number(open("app", "&clientFoundRows=true"), "SELECT 7"), 7, "found rows")
	severalResults()
	files()
	pool()
	if os.Getenv("DIRECT") == "" {
		tls := open("app", "&tls=skip-verify")
		must(tls.Ping())
		check(number(tls, "SELECT LENGTH(REPEAT('x', 3000000))"), 3000000, "TLS")
		readsGoToAReplica(tls)
	}
	fmt.Println("good")
}
