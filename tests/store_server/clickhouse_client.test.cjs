// @clickhouse/client of npm against the store's endpoint. Run by test_clickhouse_js.py, which says
// where the store is.
const assert = require('node:assert/strict');
const { Readable } = require('node:stream');
const { test, after } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const { ClickHouseError, createClient } = require('@clickhouse/client');

const env = process.env;
const DEADLINE_MS = 120_000;
const COMPRESSIONS = [
  { request: false, response: false },
  { request: true, response: true },
];
const clients = [];
after(() => Promise.all(clients.map((client) => client.close())));

function open(role, options = {}) {
  const client = createClient({
    url: `http://${env.STORE_ADDRESS}`,
    username: env[`${role}_USER`],
    password: env[`${role}_PASSWORD`],
    request_timeout: DEADLINE_MS,
    log: { level: 127 },
    ...options,
  });
  clients.push(client);
  return client;
}

const admin = open('ADMIN');

async function rows(client, query, options = {}) {
  const answer = await client.query({ query, format: 'JSONEachRow', ...options });
  return answer.json();
}

let tables = 0;
async function table(context) {
  const name = `js_${(tables += 1)}`;
  await admin.command({
    query: `CREATE TABLE ${name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a`,
  });
  context.after(() => admin.command({ query: `DROP TABLE ${name}` }));
  return name;
}

async function fails(promise, code, type) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof ClickHouseError, String(error));
    assert.deepEqual([error.code, error.type], [code, type]);
    return true;
  });
}

async function until(holds) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, 'the condition did not come true in time');
    await pause(20);
  }
}

async function running(mark) {
  const [found] = await rows(
    admin,
    `SELECT toUInt8(count()) AS n FROM system.processes WHERE position(query, {mark:String}) > 0
     AND query NOT LIKE '%system.processes%'`,
    { query_params: { mark } },
  );
  return found.n;
}

test('ping answers, with and without asking something', async () => {
  assert.deepEqual(await admin.ping(), { success: true });
  assert.deepEqual(await admin.ping({ select: true }), { success: true });
  const stranger = open('ADMIN', { password: 'wrong' });
  assert.equal((await stranger.ping({ select: true })).success, false);
});

for (const compression of COMPRESSIONS) {
  const how = compression.request ? 'packed' : 'plain';

  test(`rows inserted ${how} are rows selected ${how}`, async (context) => {
    const client = open('ADMIN', { compression });
    const name = await table(context);
    const values = Array.from({ length: 20_000 }, (_, a) => ({ a: String(a), b: `row ${a}\t` }));
    const done = await client.insert({ table: name, values, format: 'JSONEachRow' });
    assert.ok(done.query_id);
    assert.equal(done.summary.written_rows, '20000');
    const settings = { output_format_json_quote_64bit_integers: 1 };
    const found = await rows(client, `SELECT * FROM ${name} ORDER BY a`, {
      clickhouse_settings: settings,
    });
    assert.deepEqual(found, values);
  });

  test(`errors are typed when ${how}`, async () => {
    const client = open('ADMIN', { compression });
    await fails(rows(client, 'SELECT * FROM no_such_table'), '60', 'UNKNOWN_TABLE');
    await fails(client.command({ query: 'SELEC 1' }), '62', 'SYNTAX_ERROR');
    const missing = { table: 'no_such_table', values: [{ a: 1 }], format: 'JSONEachRow' };
    await fails(client.insert(missing), '60', 'UNKNOWN_TABLE');
    const stranger = open('ADMIN', { compression, password: 'wrong' });
    await fails(rows(stranger, 'SELECT 1'), '516', 'AUTHENTICATION_FAILED');
  });

  test(`an error in the middle of a stream is raised when ${how}`, async () => {
    const client = open('ADMIN', { compression });
    const answer = await client.query({
      query: "SELECT number, throwIf(number = 900000, 'the wall') FROM numbers(1000000)",
      format: 'JSONEachRow',
      clickhouse_settings: { max_block_size: '10000' },
    });
    let seen = 0;
    const read = async () => {
      for await (const some of answer.stream()) seen += some.length;
    };
    await assert.rejects(read(), /the wall/);
    assert.ok(seen < 900_001);
  });
}

test('parameters arrive as they were given', async () => {
  const texts = ['plain', "tab\tnewline\nquote'back\\slash", '', 'grüße 你好 🎈'];
  for (const text of texts) {
    const query_params = {
      text,
      list: [text, 'b'],
      map: new Map([['k', text]]),
      when: new Date(Date.UTC(2026, 10, 28, 23, 15)),
      none: null,
      flag: true,
    };
    const found = await rows(
      admin,
      `SELECT {text:String} AS text, {list:Array(String)} AS list,
       {map:Map(String, String)} AS map, {when:DateTime('UTC')} AS "when",
       {none:Nullable(Int32)} AS none, {flag:Bool} AS flag`,
      { query_params },
    );
    assert.deepEqual(found, [
      { text, list: [text, 'b'], map: { k: text }, when: '2026-11-28 23:15:00', none: null, flag: true },
    ]);
  }
});

test('every format that it knows for rows is answered', async () => {
  const query = 'SELECT 1::UInt8 AS a, [2]::Array(UInt8) AS b';
  const expected = {
    JSON: { data: [{ a: 1, b: [2] }], rows: 1 },
    JSONObjectEachRow: { row_1: { a: 1, b: [2] } },
    JSONStrings: { data: [{ a: '1', b: '[2]' }], rows: 1 },
    JSONCompact: { data: [[1, [2]]], rows: 1 },
    JSONColumnsWithMetadata: { data: { a: [1], b: [[2]] }, rows: 1 },
    JSONEachRow: [{ a: 1, b: [2] }],
    JSONStringsEachRow: [{ a: '1', b: '[2]' }],
    JSONCompactEachRow: [[1, [2]]],
    JSONCompactEachRowWithNamesAndTypes: [['a', 'b'], ['UInt8', 'Array(UInt8)'], [1, [2]]],
  };
  for (const [format, want] of Object.entries(expected)) {
    const found = await (await admin.query({ query, format })).json();
    if (!Array.isArray(want) && want.data) {
      assert.deepEqual({ data: found.data, rows: found.rows }, want, format);
      assert.deepEqual(found.meta[0], { name: 'a', type: 'UInt8' }, format);
    } else {
      assert.deepEqual(found, want, format);
    }
  }
  const texts = { CSV: '1,"[2]"\n', TabSeparated: '1\t[2]\n', CSVWithNames: '"a","b"\n1,"[2]"\n' };
  for (const [format, want] of Object.entries(texts)) {
    assert.equal(await (await admin.query({ query, format })).text(), want, format);
  }
  const parquet = await admin.exec({ query: `${query} FORMAT Parquet` });
  const data = Buffer.concat(await parquet.stream.toArray());
  assert.equal(data.subarray(0, 4).toString(), 'PAR1');
});

test('a stream is inserted as it comes', async (context) => {
  const name = await table(context);
  const values = Readable.from(
    (function* lines() {
      for (let a = 0; a < 50_000; a += 1) yield { a, b: 'x'.repeat(a % 20) };
    })(),
    { objectMode: true },
  );
  await admin.insert({ table: name, values, format: 'JSONEachRow' });
  const found = await rows(admin, `SELECT toUInt32(count()) AS n, toUInt32(sum(a)) AS s FROM ${name}`);
  assert.deepEqual(found, [{ n: 50_000, s: 1249975000 }]);
});

test('columns can be named, and bad rows are refused whole', async (context) => {
  const name = await table(context);
  await admin.insert({ table: name, columns: ['a'], values: [[7]], format: 'JSONCompactEachRow' });
  assert.deepEqual(await rows(admin, `SELECT toUInt8(a) AS a, b FROM ${name}`), [{ a: 7, b: '' }]);
  const values = [{ a: 8, b: 'x' }, { a: 'no number', b: 'y' }];
  await assert.rejects(admin.insert({ table: name, values, format: 'JSONEachRow' }), ClickHouseError);
  assert.deepEqual(await rows(admin, `SELECT toUInt8(count()) AS n FROM ${name}`), [{ n: 1 }]);
});

test('query ids and the headers of an answer come back', async () => {
  const answer = await admin.query({ query: 'SELECT 1', query_id: 'asked-by-js', format: 'CSV' });
  assert.equal(answer.query_id, 'asked-by-js');
  assert.equal(answer.response_headers['x-clickhouse-query-id'], 'asked-by-js');
  assert.equal(answer.response_headers['x-clickhouse-format'], 'CSV');
  assert.equal(await answer.text(), '1\n');
});

test('settings of one query do not stay', async () => {
  const query = "SELECT toString(getSetting('max_block_size')) AS size";
  const before = await rows(admin, query);
  const clickhouse_settings = { max_block_size: '77' };
  assert.deepEqual(await rows(admin, query, { clickhouse_settings }), [{ size: '77' }]);
  assert.deepEqual(await rows(admin, query), before);
});

test('a session keeps temporary tables', async () => {
  const client = open('ADMIN', { session_id: 'js-keeps', max_open_connections: 1 });
  await client.command({ query: 'CREATE TEMPORARY TABLE kept (x UInt8)' });
  await client.insert({ table: 'kept', values: [{ x: 5 }], format: 'JSONEachRow' });
  assert.deepEqual(await rows(client, 'SELECT x FROM kept'), [{ x: 5 }]);
  await fails(rows(admin, 'SELECT x FROM kept'), '60', 'UNKNOWN_TABLE');
});

test('a large result streams in order', async () => {
  const query = "SELECT toUInt32(number) AS n, repeat('x', 100) FROM numbers(200000)";
  const answer = await admin.query({ query, format: 'JSONEachRow' });
  let expected = 0;
  for await (const some of answer.stream()) {
    for (const row of some) {
      assert.equal(row.json().n, expected);
      expected += 1;
    }
  }
  assert.equal(expected, 200_000);
});

test('an aborted query ends in the store', async () => {
  const abort = new AbortController();
  const query = 'SELECT sum(number) AS aborted_by_js FROM numbers(1e13)';
  const asked = rows(admin, query, { abort_signal: abort.signal });
  const ended = assert.rejects(asked, /abort/i);
  await until(async () => (await running('aborted_by_js')) === 1);
  abort.abort();
  await ended;
  await until(async () => (await running('aborted_by_js')) === 0);
});

test('a result that is closed unread ends in the store', async () => {
  const query = "SELECT number AS unread_by_js, repeat('x', 100) FROM numbers(1e13)";
  const answer = await admin.query({ query, format: 'JSONEachRow' });
  assert.equal(await running('unread_by_js'), 1);
  answer.close();
  await until(async () => (await running('unread_by_js')) === 0);
});

test('progress and totals come with the rows', async () => {
  const query = 'SELECT toUInt8(number) AS n, count() AS c FROM numbers(2) GROUP BY n WITH TOTALS';
  const found = await (await admin.query({ query, format: 'JSON' })).json();
  assert.equal(found.rows, 2);
  assert.equal(Number(found.totals.c), 2);
});

test('many queries at once', async () => {
  const numbers = Array.from({ length: 40 }, (_, number) => number);
  const query = 'SELECT toUInt32({n:UInt32} * 2) AS twice';
  const found = await Promise.all(
    numbers.map((n) => rows(admin, query, { query_params: { n } })),
  );
  assert.deepEqual(found.flat().map((row) => row.twice), numbers.map((n) => 2 * n));
});

test('a reader reads, and what it may not is typed', async () => {
  const reader = open('READER', { database: 'spanlore' });
  assert.deepEqual(await reader.ping({ select: true }), { success: true });
  const found = await rows(reader, 'SELECT toUInt8(count()) AS n FROM otel_traces');
  assert.deepEqual(found, [{ n: 0 }]);
  const create = reader.command({ query: 'CREATE TABLE t (a UInt8) ENGINE = Memory' });
  await fails(create, '497', 'ACCESS_DENIED');
  await fails(rows(reader, "SELECT * FROM file('/etc/passwd')"), '497', 'ACCESS_DENIED');
});
