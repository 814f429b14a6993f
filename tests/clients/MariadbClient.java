import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** MariaDB Connector/J: MariadbClient HOST PORT TABLE */
public class MariadbClient {
    static String url;
    static String table;
    static final boolean DIRECT = System.getenv("DIRECT") != null && !System.getenv("DIRECT").isEmpty();

    static Connection connect(String... options) throws SQLException {
        return DriverManager.getConnection(url + "?user=app&password=app&allowPublicKeyRetrieval=true" + Arrays.stream(options).map(option -> "&" + option).collect(Collectors.joining()));
    }

    static void check(Object got, Object want, String what) {
        if (!String.valueOf(want).equals(String.valueOf(got))) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
    }

    interface Action {
        void run() throws SQLException;
    }

    static void failsWith(int code, Action action) throws SQLException {
        try {
            action.run();
        } catch (SQLException failure) {
            if (failure.getErrorCode() != code) {
                throw failure;
            }
            return;
        }
        throw new AssertionError("no error " + code);
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static String ask(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    /** A replica must answer plain reads, as soon as it has what the session wrote: nothing pins the session to the primary. */
    static void readsGoToAReplica(Connection connection) throws Exception {
        String because = "";
        for (long deadline = System.nanoTime() + 10_000_000_000L; !DIRECT && System.nanoTime() < deadline; Thread.sleep(10)) {
            try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("EXPLAIN ROUTE SELECT 1")) {
                while (rows.next()) {
                    if (rows.getString("step").equals("decision")) {
                        because = rows.getString("because");
                        if (!rows.getString("result").equals("db1")) {
                            return;
                        }
                    }
                }
            }
        }
        check(DIRECT, true, "a read goes to the primary: " + because);
    }

    static void everyType() throws Exception {
        try (Connection text = connect(); Connection binary = connect("useServerPrepStmts=true")) {
            String engine = ask(text, "SELECT VERSION()").contains("MariaDB") ? "mariadb" : "mysql";
            List<String[]> types = Files.readAllLines(Path.of("every_type.tsv")).stream()
                .map(line -> line.split("\t", -1)).filter(type -> type[0].equals("any") || type[0].equals(engine)).collect(Collectors.toList());
            String columns = IntStream.range(0, types.size()).mapToObj(n -> "c" + n + " " + types.get(n)[1]).collect(Collectors.joining(", "));
            String names = IntStream.range(0, types.size()).mapToObj(n -> "c" + n).collect(Collectors.joining(", "));
            run(text, "CREATE TABLE " + table + "_t (id INT PRIMARY KEY AUTO_INCREMENT, " + columns + ")");
            run(text, "INSERT INTO " + table + "_t VALUES (NULL, " + types.stream().map(type -> type[2]).collect(Collectors.joining(", ")) + ")");
            run(text, "INSERT INTO " + table + "_t (id) VALUES (NULL)");
            for (int turn = 0; turn < 8; turn++) {
                Connection connection = turn % 2 == 0 ? text : binary;
                try (PreparedStatement select = connection.prepareStatement("SELECT " + names + " FROM " + table + "_t WHERE id > ? ORDER BY id")) {
                    select.setInt(1, 0);
                    ResultSet rows = select.executeQuery();
                    rows.next();
                    for (int n = 0; n < types.size(); n++) {
                        String want = types.get(n)[3], type = types.get(n)[1];
                        boolean isBytes = want.startsWith("hex:");
                        String got = isBytes ? "hex:" + hex(rows.getBytes(n + 1)) : rows.getString(n + 1);
                        // As texts, the driver gives a year as a date, and times with more digits.
                        if (type.equals("YEAR")) {
                            got = got.substring(0, 4);
                        } else if (type.startsWith("DATETIME") || type.startsWith("TIME")) {
                            got = want.contains(".") ? got : got.replaceFirst("\\.0+$", "");
                        }
                        check(got, want, type);
                    }
                    rows.next();
                    for (int n = 0; n < types.size(); n++) {
                        check(rows.getObject(n + 1), null, types.get(n)[1]);
                    }
                    check(rows.next(), false, "the end");
                }
            }
        }
    }

    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte one : bytes) {
            text.append(String.format("%02x", one));
        }
        return text.toString();
    }

    static void transactions() throws Exception {
        byte[] large = "\u00fe\0'\\".repeat(17 << 18).getBytes(StandardCharsets.ISO_8859_1);
        try (Connection connection = connect("useServerPrepStmts=true", "rewriteBatchedStatements=false")) {
            run(connection, "CREATE TABLE " + table + " (id INT PRIMARY KEY AUTO_INCREMENT, a INT UNIQUE, words VARCHAR(50) CHARACTER SET utf8mb4, bytes LONGBLOB)");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO " + table + " (a, words) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int a = 1; a <= 3; a++) {
                    insert.setInt(1, a);
                    insert.setString(2, a == 2 ? null : "ä😀 it's \\");
                    insert.addBatch();
                }
                check(Arrays.toString(insert.executeBatch()), "[1, 1, 1]", "a batch");
                ResultSet keys = insert.getGeneratedKeys();
                keys.next();
                check(keys.getInt(1), 1, "a key");
                failsWith(1062, () -> insert.executeUpdate());
            }
            try (Statement update = connection.createStatement()) {
                // This driver counts rows that were found.
                check(update.executeUpdate("UPDATE " + table + " SET words = 'same'"), 3, "found");
                check(update.executeUpdate("UPDATE " + table + " SET words = 'same'"), 3, "found");
                update.execute("SELECT CAST('x' AS SIGNED)");
                check(update.getWarnings().getErrorCode(), 1292, "a warning");
            }
            connection.setAutoCommit(false);
            run(connection, "DELETE FROM " + table + " WHERE a = 1");
            Savepoint one = connection.setSavepoint("one");
            run(connection, "DELETE FROM " + table);
            connection.rollback(one);
            check(ask(connection, "SELECT COUNT(*) FROM " + table), 2, "after the savepoint");
            connection.rollback();
            check(ask(connection, "SELECT COUNT(*) FROM " + table), 3, "after the rollback");
            connection.commit();
            connection.setAutoCommit(true);
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO " + table + " (a, bytes) VALUES (99, ?)")) {
                insert.setBinaryStream(1, new ByteArrayInputStream(large));
                insert.executeUpdate();
            }
            try (Statement select = connection.createStatement(); ResultSet rows = select.executeQuery("SELECT bytes FROM " + table + " WHERE a = 99")) {
                rows.next();
                check(Arrays.equals(rows.getBytes(1), large), true, "a large row");
            }
            failsWith(1146, () -> ask(connection, "SELECT * FROM no_such_table"));
            failsWith(1064, () -> ask(connection, "SELECT FROM WHERE"));
            failsWith(1045, () -> connect("password=wrong"));
        }
    }

    static void severalResults() throws Exception {
        try (Connection connection = connect("allowMultiQueries=true")) {
            run(connection, "CREATE PROCEDURE " + table + "_p (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1; SET b = a + 2; END");
            try (CallableStatement call = connection.prepareCall("{CALL " + table + "_p(?, ?)}")) {
                call.setInt(1, 5);
                call.registerOutParameter(2, Types.INTEGER);
                List<Integer> results = new ArrayList<>();
                for (boolean more = call.execute(); more; more = call.getMoreResults()) {
                    ResultSet rows = call.getResultSet();
                    rows.next();
                    results.add(rows.getInt(1));
                }
                check(results, "[5, 6]", "a procedure");
                check(call.getInt(2), 7, "its OUT parameter");
            }
            try (Statement several = connection.createStatement()) {
                several.execute("SELECT 1; DO 2; SELECT 3");
                check(several.getMoreResults(), false, "no rows");
                check(several.getMoreResults(), true, "rows");
                ResultSet rows = several.getResultSet();
                rows.next();
                check(rows.getInt(1), 3, "several statements");
            }
            String digits = "(" + IntStream.range(0, 10).mapToObj(n -> "SELECT " + n + " n").collect(Collectors.joining(" UNION ")) + ")";
            try (Statement stream = connection.createStatement()) {
                stream.setFetchSize(10);
                ResultSet rows = stream.executeQuery("SELECT a.n + 10 * b.n + 100 * c.n FROM " + digits + " a, " + digits + " b, " + digits + " c");
                int sum = 0;
                while (rows.next()) {
                    sum += rows.getInt(1);
                }
                check(sum, 499500, "rows as they come");
            }
            DatabaseMetaData about = connection.getMetaData();
            ResultSet columns = about.getColumns("guestbook", null, table, "%");
            columns.next();
            check(columns.getString("COLUMN_NAME"), "id", "the first column");
            check(about.getPrimaryKeys("guestbook", null, table).next(), true, "a key");
        }
    }

    /** What pools and frameworks do around each use of a connection stays cheap: it pins nothing. */
    static void pools() throws Exception {
        try (Connection connection = connect(DIRECT ? "useSSL=false" : "useSSL=true&trustServerCertificate=true")) {
            for (int turn = 0; turn < 5; turn++) {
                check(connection.isValid(1), true, "a ping");
                check(ask(connection, "/* ping */ SELECT 1"), 1, "a ping");
            }
            readsGoToAReplica(connection);
            run(connection, "INSERT INTO " + table + " (a) VALUES (4)");
            connection.setReadOnly(true);
            check(ask(connection, "SELECT COUNT(*) FROM " + table), 5, "read-only");
            readsGoToAReplica(connection);
            connection.setAutoCommit(false);
            check(ask(connection, "SELECT COUNT(*) FROM " + table), 5, "read-only, in a transaction");
            connection.rollback();
            connection.setAutoCommit(true);
            connection.setReadOnly(false);
            run(connection, "INSERT INTO " + table + " (a) VALUES (5)");
            run(connection, "SET SESSION TRANSACTION READ ONLY");
            failsWith(1792, () -> run(connection, "DELETE FROM " + table));
            run(connection, "SET SESSION TRANSACTION READ WRITE");
            for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ}) {
                connection.setTransactionIsolation(level);
                check(connection.getTransactionIsolation(), level, "the isolation");
                readsGoToAReplica(connection);
            }
            connection.setCatalog("guestbook");
            connection.setNetworkTimeout(Runnable::run, 5000);
            check(ask(connection, "SELECT LENGTH(REPEAT('x', 3000000))"), 3000000, "TLS");
        }
        try (Connection first = connect("pool=true", "maxPoolSize=2", "useResetConnection=true")) {
            run(first, "SET @a = 1");
        }
        for (int turn = 0; turn < 4; turn++) {
            try (Connection next = connect("pool=true", "maxPoolSize=2", "useResetConnection=true")) {
                // It resets sessions of MariaDB only.
                if (next.getMetaData().getDatabaseProductName().equals("MariaDB")) {
                    check(ask(next, "SELECT @a"), null, "a variable of the session before");
                }
                readsGoToAReplica(next);
            }
        }
    }

    static void files() throws Exception {
        Path file = Path.of("/tmp/load");
        Files.writeString(file, IntStream.range(1000, 2000).mapToObj(n -> n + "\tline " + n + "\n").collect(Collectors.joining()));
        try (Connection connection = connect("allowLocalInfile=true"); Statement load = connection.createStatement()) {
            check(load.executeUpdate("LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE " + table + " (a, words)"), 1000, "a file");
        }
    }

    public static void main(String[] arguments) throws Exception {
        url = "jdbc:mariadb://" + arguments[0] + ":" + arguments[1] + "/guestbook";
        table = arguments[2];
        everyType();
        transactions();
        severalResults();
        pools();
        files();
        System.out.println("good");
        System.exit(0);
    }
}
