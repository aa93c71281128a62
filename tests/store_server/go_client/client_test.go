// clickhouse-go v2 over HTTP, the driver of Grafana's ClickHouse plugin, against the store's
// endpoint. Run by test_clickhouse_go.py, which says where the store is.
package client

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const deadline = 120 * time.Second

var compressions = map[string]clickhouse.CompressionMethod{
	"none":    clickhouse.CompressionNone,
	"lz4":     clickhouse.CompressionLZ4,
	"zstd":    clickhouse.CompressionZSTD,
	"gzip":    clickhouse.CompressionGZIP,
	"deflate": clickhouse.CompressionDeflate,
}

func options(role string, method clickhouse.CompressionMethod) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{os.Getenv("STORE_ADDRESS")},
		Auth: clickhouse.Auth{
			Username: os.Getenv(role + "_USER"),
			Password: os.Getenv(role + "_PASSWORD"),
		},
		Compression: &clickhouse.Compression{Method: method, Level: 3},
	}
}

func open(t *testing.T, opts *clickhouse.Options) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(opts)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func admin(t *testing.T) driver.Conn { return open(t, options("ADMIN", clickhouse.CompressionLZ4)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, want %#v", got, want)
	}
}

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// table makes an empty table (a UInt64, b String) for one test.
func table(t *testing.T, conn driver.Conn) string {
	name := "go_" + strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name()))
	must(t, conn.Exec(background(t),
		fmt.Sprintf("CREATE TABLE %s (a UInt64, b String) ENGINE = MergeTree ORDER BY a", name)))
	t.Cleanup(func() { _ = conn.Exec(context.Background(), "DROP TABLE "+name) })
	return name
}

func exception(t *testing.T, err error, code int32, name string, status int) {
	t.Helper()
	var typed *clickhouse.Exception
	if !errors.As(err, &typed) {
		t.Fatalf("no *Exception: %v", err)
	}
	same(t, []any{typed.Code, typed.CodeName}, []any{code, name})
	var answer *clickhouse.HTTPError
	if errors.As(err, &answer) {
		same(t, answer.StatusCode, status)
	} else {
		same(t, 0, status)
	}
}

func TestPingAndVersion(t *testing.T) {
	for _, role := range []string{"ADMIN", "INGEST", "READER"} {
		conn := open(t, options(role, clickhouse.CompressionGZIP))
		must(t, conn.Ping(background(t)))
		version, err := conn.ServerVersion()
		must(t, err)
		same(t, version.DisplayName, "spanlore")
	}
}

func TestEveryCompressionCarriesRowsBothWays(t *testing.T) {
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := open(t, options("ADMIN", method))
			into := table(t, conn)
			batch, err := conn.PrepareBatch(background(t), "INSERT INTO "+into)
			must(t, err)
			for number := range uint64(20_000) {
				must(t, batch.Append(number, strings.Repeat("row", int(number%50))))
			}
			must(t, batch.Send())
			rows, err := conn.Query(background(t), "SELECT a, b FROM "+into+" ORDER BY a")
			must(t, err)
			var found uint64
			for rows.Next() {
				var number uint64
				var text string
				must(t, rows.Scan(&number, &text))
				if number != found || text != strings.Repeat("row", int(number%50)) {
					t.Fatalf("row %d is (%d, %q)", found, number, text)
				}
				found++
			}
			must(t, rows.Err())
			same(t, found, uint64(20_000))
		})
	}
}

func TestAnEncodingTheStoreDoesNotKnowIsATypedError(t *testing.T) {
	conn := open(t, options("ADMIN", clickhouse.CompressionBrotli))
	into := table(t, conn)
	batch, err := conn.PrepareBatch(background(t), "INSERT INTO "+into)
	must(t, err)
	must(t, batch.Append(uint64(1), "x"))
	exception(t, batch.Send(), 48, "NOT_IMPLEMENTED", 500)
}

func TestParametersArriveAsTheyWereGiven(t *testing.T) {
	conn := admin(t)
	for _, text := range []string{"plain", "tab\tnewline\nquote'back\\slash", "", "grüße 你好"} {
		var found string
		ask := "SELECT {text:String}"
		must(t, conn.QueryRow(background(t), ask, clickhouse.Named("text", text)).Scan(&found))
		same(t, found, text)
		must(t, conn.QueryRow(background(t), "SELECT ?", text).Scan(&found))
		same(t, found, text)
	}
	var number int64
	ctx := clickhouse.Context(background(t), clickhouse.WithParameters(clickhouse.Parameters{
		"number": "-5",
	}))
	must(t, conn.QueryRow(ctx, "SELECT {number:Int64}").Scan(&number))
	same(t, number, int64(-5))
}

func TestNamedAndListParameters(t *testing.T) {
	conn := admin(t)
	var found []string
	var when time.Time
	var none *int32
	asked := time.Date(2026, 11, 28, 23, 15, 0, 0, time.UTC)
	must(t, conn.QueryRow(background(t), "SELECT {list:Array(String)}, {when:DateTime('UTC')}, {none:Nullable(Int32)}",
		clickhouse.Named("list", []string{"a'b", "c"}), clickhouse.Named("when", asked),
		clickhouse.Named("none", nil),
	).Scan(&found, &when, &none))
	same(t, found, []string{"a'b", "c"})
	same(t, when.UTC(), asked)
	same(t, none, (*int32)(nil))
}

func TestValuesOfManyTypes(t *testing.T) {
	var (
		low     string
		maybe   *int32
		mapped  map[string]string
		list    []uint64
		tuple   []any
		moment  time.Time
		id      string
		number  float64
		enum    string
		nesting []map[string]string
	)
	must(t, admin(t).QueryRow(background(t), `SELECT toLowCardinality('low'), NULL::Nullable(Int32),
		map('k', 'v'), [1, 2]::Array(UInt64), ('x', 2::UInt8),
		toDateTime64('2026-01-02 03:04:05.123456789', 9, 'UTC'),
		'61f0c404-5cb3-11e7-907b-a6006ad3dba0'::UUID::String, 0.5::Float64,
		'b'::Enum8('a' = 1, 'b' = 2), [map('k', 'v'), map()]::Array(Map(String, String))`,
	).Scan(&low, &maybe, &mapped, &list, &tuple, &moment, &id, &number, &enum, &nesting))
	same(t, []any{low, maybe, mapped, list, tuple, number, enum}, []any{
		"low", (*int32)(nil), map[string]string{"k": "v"}, []uint64{1, 2},
		[]any{"x", uint8(2)}, 0.5, "b",
	})
	same(t, moment.UTC(), time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC))
	same(t, nesting, []map[string]string{{"k": "v"}, {}})
}

func TestAnEmptyResultStillNamesItsColumns(t *testing.T) {
	conn := admin(t)
	rows, err := conn.Query(background(t), "SELECT a, b FROM "+table(t, conn))
	must(t, err)
	same(t, rows.Columns(), []string{"a", "b"})
	same(t, rows.ColumnTypes()[0].DatabaseTypeName(), "UInt64")
	same(t, rows.Next(), false)
	must(t, rows.Err())
}

func TestStatementsThatDoNotStreamAnswerAsWell(t *testing.T) {
	conn := admin(t)
	name := table(t, conn)
	for _, query := range []string{"SHOW TABLES LIKE '" + name + "'", "EXISTS TABLE " + name,
		"DESCRIBE TABLE " + name, "EXPLAIN SELECT 1", "SHOW CREATE TABLE " + name} {
		rows, err := conn.Query(background(t), query)
		must(t, err)
		same(t, rows.Next(), true)
		must(t, rows.Close())
	}
}

func TestErrorsAreTyped(t *testing.T) {
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := open(t, options("ADMIN", method))
			ctx := background(t)
			_, err := conn.Query(ctx, "SELECT * FROM no_such_table")
			exception(t, err, 60, "UNKNOWN_TABLE", 404)
			exception(t, conn.Exec(ctx, "SELEC 1"), 62, "SYNTAX_ERROR", 400)
			exception(t, conn.Exec(ctx, "INSERT INTO no_such_table VALUES (1)"), 60, "UNKNOWN_TABLE", 404)
			opts := options("ADMIN", method)
			opts.Auth.Password = "wrong"
			exception(t, open(t, opts).Ping(ctx), 516, "AUTHENTICATION_FAILED", 403)
		})
	}
}

func TestAnErrorInTheMiddleOfAStreamIsTyped(t *testing.T) {
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := open(t, options("ADMIN", method))
			ctx := clickhouse.Context(background(t), clickhouse.WithSettings(clickhouse.Settings{
				"max_block_size": 10_000,
			}))
			rows, err := conn.Query(ctx,
				"SELECT number, throwIf(number = 900000, 'the wall') FROM numbers(1000000)")
			must(t, err)
			count := 0
			for rows.Next() {
				count++
			}
			exception(t, rows.Err(), 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", 0)
			if !strings.Contains(rows.Err().Error(), "the wall") || count == 0 || count > 900_000 {
				t.Fatalf("%d rows, then %v", count, rows.Err())
			}
		})
	}
}

func TestSettingsOfOneQueryDoNotStay(t *testing.T) {
	conn := admin(t)
	ask := func(ctx context.Context) (found uint64) {
		must(t, conn.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&found))
		return found
	}
	before := ask(background(t))
	settings := clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 77})
	same(t, ask(clickhouse.Context(background(t), settings)), uint64(77))
	same(t, ask(background(t)), before)
}

func TestASessionKeepsSetAndTemporaryTables(t *testing.T) {
	opts := options("ADMIN", clickhouse.CompressionLZ4)
	opts.Settings = clickhouse.Settings{"session_id": t.Name()}
	opts.MaxOpenConns = 1
	conn := open(t, opts)
	ctx := background(t)
	must(t, conn.Exec(ctx, "CREATE TEMPORARY TABLE kept (x UInt8)"))
	must(t, conn.Exec(ctx, "INSERT INTO kept VALUES (5)"))
	must(t, conn.Exec(ctx, "SET max_block_size = 78"))
	var x uint8
	var size uint8
	must(t, conn.QueryRow(ctx, "SELECT x, getSetting('max_block_size') FROM kept").Scan(&x, &size))
	same(t, []any{x, size}, []any{uint8(5), uint8(78)})
	_, err := admin(t).Query(ctx, "SELECT * FROM kept")
	exception(t, err, 60, "UNKNOWN_TABLE", 404)
}

// seen keeps the head of every answer.
type seen struct {
	http.RoundTripper
	mutex sync.Mutex
	heads []http.Header
}

func (s *seen) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(request)
	if err == nil {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.heads = append(s.heads, answer.Header)
	}
	return answer, err
}

func TestAQueryIdComesBack(t *testing.T) {
	var watch *seen
	opts := options("ADMIN", clickhouse.CompressionLZ4)
	opts.TransportFunc = func(transport *http.Transport) (http.RoundTripper, error) {
		watch = &seen{RoundTripper: transport}
		return watch, nil
	}
	conn := open(t, opts)
	ctx := clickhouse.Context(background(t), clickhouse.WithQueryID("asked-by-go"))
	must(t, conn.Exec(ctx, "SELECT 1"))
	last := watch.heads[len(watch.heads)-1]
	same(t, last.Get("X-ClickHouse-Query-Id"), "asked-by-go")
	same(t, last.Get("X-ClickHouse-Timezone") != "", true)
}

func TestALargeResultStreamsInOrder(t *testing.T) {
	rows, err := admin(t).Query(background(t),
		"SELECT number, repeat('x', 100) FROM numbers(200000)")
	must(t, err)
	var expected uint64
	for rows.Next() {
		var number uint64
		var text string
		must(t, rows.Scan(&number, &text))
		if number != expected || len(text) != 100 {
			t.Fatalf("row %d is %d with %d bytes", expected, number, len(text))
		}
		expected++
	}
	must(t, rows.Err())
	same(t, expected, uint64(200_000))
}

func running(t *testing.T, conn driver.Conn, mark string) (count uint64) {
	must(t, conn.QueryRow(background(t), "SELECT count() FROM system.processes"+
		" WHERE position(query, ?) > 0 AND query NOT LIKE '%system.processes%'", mark).Scan(&count))
	return count
}

func until(t *testing.T, true func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition did not come true in time")
		}
	}
}

func TestACancelledQueryEndsInTheStore(t *testing.T) {
	conn, watcher := admin(t), admin(t)
	ctx, cancel := context.WithCancel(background(t))
	ended := make(chan error, 1)
	go func() {
		var sum uint64
		ended <- conn.QueryRow(ctx, "SELECT sum(number) AS cancelled_by_go FROM numbers(1e13)").Scan(&sum)
	}()
	until(t, func() bool { return running(t, watcher, "cancelled_by_go") == 1 })
	cancel()
	same(t, errors.Is(<-ended, context.Canceled), true)
	until(t, func() bool { return running(t, watcher, "cancelled_by_go") == 0 })
}

func TestRowsLeftUnreadEndInTheStore(t *testing.T) {
	conn, watcher := admin(t), admin(t)
	ctx, cancel := context.WithCancel(background(t))
	rows, err := conn.Query(ctx, "SELECT number AS unread_by_go, repeat('x', 100) FROM numbers(1e13)")
	must(t, err)
	same(t, rows.Next(), true)
	same(t, running(t, watcher, "unread_by_go"), uint64(1))
	cancel()
	until(t, func() bool { return running(t, watcher, "unread_by_go") == 0 })
}

func TestFormatsGoBothWays(t *testing.T) {
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := open(t, options("ADMIN", method))
			into := table(t, conn)
			lines := "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"tab\\there\"}\n"
			must(t, conn.InsertFormat(background(t), "JSONEachRow", "INSERT INTO "+into,
				strings.NewReader(lines)))
			for format, want := range map[string]string{
				"JSONEachRow": lines,
				"CSV":         "1,\"x\"\n2,\"tab\there\"\n",
				"TSV":         "1\tx\n2\ttab\\there\n",
			} {
				stream, err := conn.QueryFormat(background(t), format,
					"SELECT a, b FROM "+into+" ORDER BY a")
				must(t, err)
				data, err := io.ReadAll(stream)
				must(t, err)
				must(t, stream.Close())
				same(t, string(data), want)
			}
		})
	}
}

func TestAnErrorInTheMiddleOfAFormatIsTyped(t *testing.T) {
	stream, err := admin(t).QueryFormat(background(t), "JSONEachRow",
		"SELECT number, throwIf(number = 900000, 'the wall') FROM numbers(1000000)")
	must(t, err)
	data, err := io.ReadAll(stream)
	exception(t, err, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", 0)
	same(t, strings.HasPrefix(string(data), "{\"number\":0,"), true)
}

func TestAsyncInsertsAreThereWhenTheyReturn(t *testing.T) {
	conn := admin(t)
	into := table(t, conn)
	ctx := clickhouse.Context(background(t), clickhouse.WithAsync(true))
	must(t, conn.Exec(ctx, "INSERT INTO "+into+" VALUES (1, 'x')"))
	var count uint64
	must(t, conn.QueryRow(background(t), "SELECT count() FROM "+into).Scan(&count))
	same(t, count, uint64(1))
}

func TestManyQueriesAtOnce(t *testing.T) {
	opts := options("ADMIN", clickhouse.CompressionLZ4)
	opts.MaxOpenConns = 8
	conn := open(t, opts)
	ctx := background(t)
	found := make(chan error, 40)
	for number := range uint64(40) {
		go func() {
			var sum uint64
			err := conn.QueryRow(ctx, "SELECT sum(number) FROM numbers(?)", number).Scan(&sum)
			if want := number * (max(number, 1) - 1) / 2; err == nil && sum != want {
				err = fmt.Errorf("%d is not %d", sum, want)
			}
			found <- err
		}()
	}
	for range 40 {
		must(t, <-found)
	}
}

// As Grafana's plugin opens it: database/sql, the reader's login, a time limit in every request.
func grafana(t *testing.T, method clickhouse.CompressionMethod) *sql.DB {
	opts := options("READER", method)
	opts.Auth.Database = "spanlore"
	opts.Settings = clickhouse.Settings{"max_execution_time": "60"}
	opts.ReadTimeout = deadline
	opened := clickhouse.OpenDB(opts)
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

func TestAReaderAsksThroughDatabaseSql(t *testing.T) {
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) {
			db := grafana(t, method)
			must(t, db.PingContext(background(t)))
			rows, err := db.QueryContext(background(t),
				"SELECT number AS n, toString(number) AS s, now64(9) FROM numbers(3) WHERE number > ?", 0)
			must(t, err)
			names, err := rows.Columns()
			must(t, err)
			same(t, names[:2], []string{"n", "s"})
			kinds, err := rows.ColumnTypes()
			must(t, err)
			same(t, kinds[2].DatabaseTypeName(), "DateTime64(9)")
			count := 0
			for rows.Next() {
				count++
			}
			must(t, rows.Err())
			same(t, count, 2)
		})
	}
}

func TestWhatAReaderMayNotIsATypedError(t *testing.T) {
	db := grafana(t, clickhouse.CompressionGZIP)
	_, err := db.ExecContext(background(t), "CREATE TABLE t (a UInt8) ENGINE = Memory")
	exception(t, err, 497, "ACCESS_DENIED", 403)
	_, err = db.QueryContext(background(t), "SELECT * FROM file('/etc/passwd', 'LineAsString')")
	exception(t, err, 497, "ACCESS_DENIED", 403)
	ctx := clickhouse.Context(background(t), clickhouse.WithSettings(clickhouse.Settings{
		"max_memory_usage_for_user": 0,
	}))
	_, err = db.QueryContext(ctx, "SELECT 1")
	exception(t, err, 164, "READONLY", 403)
}
