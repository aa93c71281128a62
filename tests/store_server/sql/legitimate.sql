## what clients ask first
SELECT 1
SELECT version()
SELECT displayName(), version(), revision(), timezone()
SELECT version(), timezone(), currentUser(), currentDatabase()
SELECT name, value, readonly FROM system.settings
SELECT name, value, changed, description, type, readonly FROM system.settings LIMIT 5
SELECT name FROM system.functions
SELECT name, is_aggregate FROM system.functions LIMIT 5
SELECT name FROM system.data_type_families LIMIT 5
SELECT name FROM system.formats WHERE is_output LIMIT 5
SELECT name FROM system.table_functions LIMIT 5
SELECT word AS keyword FROM (SELECT keyword AS word FROM system.keywords) LIMIT 5
SHOW DATABASES
SHOW TABLES
SHOW TABLES FROM spanlore
SHOW TABLES FROM `spanlore`
SHOW FULL TABLES FROM spanlore LIKE 'otel%'
SHOW TABLES IN spanlore NOT LIKE 'x%'
show databases
DESCRIBE TABLE otel_traces
DESC TABLE "spanlore"."otel_traces"
DESCRIBE spanlore.otel_logs
DESCRIBE (SELECT 1 AS a, 'x' AS b)
SELECT name FROM system.databases ORDER BY name
SELECT name FROM system.tables WHERE database = 'spanlore' ORDER BY name
SELECT database, name, engine, comment FROM system.tables WHERE database NOT IN ('system')
SELECT name, type, comment FROM system.columns WHERE database = 'spanlore' AND table = 'otel_traces'
SELECT DISTINCT table FROM system.columns WHERE name = 'TraceId'
SELECT table_name FROM information_schema.tables WHERE table_schema = 'spanlore'
SELECT column_name, data_type FROM INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'otel_traces'
SELECT system.tables.name FROM system.tables LIMIT 1
SELECT DISTINCT arrayJoin(SpanAttributes.keys) AS keys FROM spanlore.otel_traces LIMIT 1000
SELECT DISTINCT arrayJoin(mapKeys(ResourceAttributes)) AS keys FROM otel_traces LIMIT 1000
SELECT DISTINCT ServiceName FROM otel_traces LIMIT 1000
EXPLAIN SELECT count() FROM otel_traces WHERE TraceId = 't-1'
EXPLAIN PLAN SELECT (SELECT count() FROM otel_traces)
EXPLAIN AST SELECT 1
EXPLAIN SYNTAX SELECT * FROM otel_traces AS a, otel_logs AS b
EXPLAIN QUERY TREE SELECT TraceId FROM otel_traces
EXISTS TABLE otel_traces
EXISTS spanlore.otel_traces
## Grafana's trace view, search and logs
WITH 't-1' AS trace_id, (SELECT min(Start) FROM spanlore.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_start, (SELECT max(End) + 1 FROM spanlore.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_end SELECT "TraceId" AS traceID, "SpanId" AS spanID, "ParentSpanId" AS parentSpanID, "ServiceName" AS serviceName, "SpanName" AS operationName, multiply(toUnixTimestamp64Nano("Timestamp"), 0.000001) AS startTime, multiply("Duration", 0.000001) AS duration, arrayMap(key -> map('key', key, 'value', "SpanAttributes"[key]), mapKeys("SpanAttributes")) AS tags, arrayMap(key -> map('key', key, 'value', "ResourceAttributes"[key]), mapKeys("ResourceAttributes")) AS serviceTags, if("StatusCode" IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode, arrayMap((name, timestamp, attributes) -> tuple(name, toString(toUnixTimestamp64Milli(timestamp)), arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)))::Tuple(name String, timestamp String, fields Array(Map(String, String))), `Events.Name`, `Events.Timestamp`, `Events.Attributes`) AS logs FROM spanlore.otel_traces WHERE traceID = trace_id AND "Timestamp" >= trace_start AND "Timestamp" <= trace_end LIMIT 1000
SELECT "TraceId" AS traceID, "ServiceName" AS serviceName, "SpanName" AS operationName, "Timestamp" AS startTime, multiply("Duration", 0.000001) AS duration FROM "spanlore"."otel_traces" WHERE ( Timestamp >= fromUnixTimestamp64Milli(0) AND Timestamp <= fromUnixTimestamp64Milli(4102444800000) ) AND ( ParentSpanId = '' ) AND ( Duration > 0 ) ORDER BY Timestamp DESC, Duration DESC LIMIT 1000
SELECT Timestamp AS "timestamp", Body AS "body", SeverityText AS "level", LogAttributes AS "labels", TraceId AS "traceID" FROM "spanlore"."otel_logs" WHERE ( body LIKE '%a%' ) ORDER BY timestamp DESC LIMIT 1000
SELECT toStartOfInterval("Timestamp", INTERVAL 60 second) AS "time", count(*) AS "all" FROM otel_logs GROUP BY time ORDER BY time ASC
## dashboards
SELECT toStartOfInterval(StartedAt, INTERVAL 5 MINUTE) AS time, count() AS runs, countIf(Outcome = 'pass') AS passed FROM agent_runs GROUP BY time ORDER BY time
SELECT toStartOfMinute(Timestamp) AS time, quantile(0.5)(Duration) / 1e6 AS p50, quantiles(0.9, 0.99)(Duration) AS tail, quantileTDigestIf(0.95)(Duration, StatusCode != 'Error') AS p95 FROM otel_traces GROUP BY time ORDER BY time WITH FILL STEP INTERVAL 1 MINUTE LIMIT 100
SELECT ToolName, count() AS calls, countIf(StatusCode = 'Error') / count() AS errors FROM otel_traces WHERE Op = 'execute_tool' GROUP BY ToolName HAVING calls > 0 ORDER BY errors DESC LIMIT 10
SELECT Model, sum(InputTokens), sum(OutputTokens), avg(Duration), uniq(TraceId), uniqExact(SessionId), max(Timestamp) - min(Timestamp) FROM otel_traces GROUP BY Model WITH TOTALS
SELECT SpanAttributes['gen_ai.request.model'] AS model, ResourceAttributes['service.name'] FROM otel_traces WHERE mapContains(SpanAttributes, 'gen_ai.request.model')
SELECT key, count() FROM otel_traces ARRAY JOIN mapKeys(SpanAttributes) AS key GROUP BY key ORDER BY 2 DESC
SELECT arrayJoin(Events.Name) AS event, count() FROM otel_traces GROUP BY event
SELECT JSONExtractString(ToolArguments, 'city') AS city, JSONExtract(ToolArguments, 'n', 'Nullable(Int64)'), JSONExtractRaw(ToolArguments, 'x'), JSONHas(ToolArguments, 'x') FROM otel_traces
SELECT TraceId, SpanName, Duration, rank() OVER (PARTITION BY TraceId ORDER BY Duration DESC) AS place, sum(Duration) OVER w AS total, lagInFrame(Duration) OVER w FROM otel_traces WINDOW w AS (PARTITION BY TraceId ORDER BY Timestamp ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
WITH slow AS (SELECT TraceId, max(Duration) AS d FROM otel_traces GROUP BY TraceId), top AS (SELECT * FROM slow ORDER BY d DESC LIMIT 5) SELECT t.TraceId, count() FROM otel_traces AS t INNER JOIN top USING (TraceId) GROUP BY t.TraceId
WITH RECURSIVE tree AS (SELECT SpanId, ParentSpanId, 0 AS depth FROM otel_traces WHERE TraceId = 't-1' AND ParentSpanId = '' UNION ALL SELECT s.SpanId, s.ParentSpanId, depth + 1 FROM otel_traces s JOIN tree ON s.ParentSpanId = tree.SpanId) SELECT * FROM tree
SELECT r.TraceId, j.Label FROM agent_runs r LEFT JOIN judgements j ON r.TraceId = j.TraceId WHERE r.UserId IN (SELECT UserId FROM agent_runs) ORDER BY r.StartedAt DESC LIMIT 10
SELECT * FROM otel_traces ORDER BY RowVersion DESC LIMIT 1 BY TenantId, TraceId, SpanId
SELECT SpanName, CASE WHEN Duration > 1e9 THEN 'slow' WHEN Duration > 1e6 THEN 'fine' ELSE 'fast' END AS speed, if(StatusCode = 'Error', 1, 0), multiIf(Duration > 1, 'a', Duration > 2, 'b', 'c'), CASE StatusCode WHEN 'Error' THEN 1 ELSE 0 END FROM otel_traces
SELECT formatDateTime(Timestamp, '%Y-%m-%d %H:%i:%S'), toDate(Timestamp), toHour(Timestamp), dateDiff('second', Timestamp, now()), Timestamp + INTERVAL 1 DAY, toUnixTimestamp(Timestamp), date_trunc('hour', Timestamp), toStartOfHour(Timestamp) FROM otel_traces
SELECT lower(SpanName), upper(SpanName), concat(SpanName, '-', TraceId), substring(SpanName, 1, 3), position(SpanName, 'a'), SpanName LIKE 'a%', SpanName ILIKE 'A%', match(SpanName, '^a'), replaceRegexpAll(SpanName, 'a+', 'b'), splitByChar('-', TraceId), extract(SpanName, '(a+)'), trim(SpanName), length(SpanName), empty(SpanName), hex(SpanName), base64Encode(SpanName), format('{} {}', SpanName, TraceId) FROM otel_traces
SELECT arrayMap(x -> x * 2, [1, 2]), arrayFilter((x, y) -> x > y, [1, 2], [0, 3]), arraySum([1, 2]), arraySort(x -> -x, [1, 2]), has([1, 2], 1), hasAny([1], [1, 2]), arrayDistinct([1, 1]), arrayZip([1], ['a']), arrayReduce('sum', [1, 2]), arrayElement([1], 1), [1, 2][1], indexOf([1, 2], 2), arrayMap(toString, [1, 2])
SELECT argMax(SpanName, Timestamp), anyLast(SpanName), groupArray(3)(SpanName), groupUniqArray(ServiceName), topK(3)(SpanName), sumMap(map('a', 1)), avgIf(Duration, 1), countDistinct(TraceId), COUNT(DISTINCT TraceId), count(DISTINCT SpanName), stddevPop(Duration), corr(Duration, Duration), histogram(5)(Duration), simpleLinearRegression(Duration, Duration), min(Duration), sumOrNull(Duration), uniqCombined(TraceId), maxMap(SpanAttributes) FROM otel_traces
SELECT uniqMerge(u), sumMerge(s) FROM (SELECT uniqState(TraceId) AS u, sumState(Duration) AS s FROM otel_traces)
SELECT round(avg(Duration), 2), floor(1.5), ceil(1.5), abs(-1), sqrt(4), log(10), greatest(1, 2), least(1, 2), 7 % 3, intDiv(7, 2), bitAnd(1, 3), toFloat64OrNull('x'), toInt64('1'), toString(1), CAST(1, 'String'), 1::String, nullIf(1, 1), coalesce(NULL, 1), ifNull(NULL, 1), isNull(1), 1 BETWEEN 0 AND 2, NOT 1, 1 IS NOT NULL, formatReadableSize(1e6), toTypeName(1), rand() > 0, generateUUIDv4() != toUUID('00000000-0000-0000-0000-000000000000') FROM otel_traces
SELECT number FROM numbers(5)
SELECT * FROM numbers(0, 5) AS n
SELECT toStartOfHour(now()) - INTERVAL number HOUR AS time FROM numbers(24) ORDER BY time
SELECT generate_series AS n FROM generate_series(1, 5)
SELECT * FROM values('a UInt8, b String', (1, 'x'), (2, 'y'))
SELECT * FROM view(SELECT count() AS n FROM otel_traces)
SELECT 1 UNION ALL SELECT 2 UNION DISTINCT SELECT 2
SELECT 1 INTERSECT SELECT 1
SELECT 1 EXCEPT SELECT 2
SELECT * EXCEPT (SpanAttributes) FROM otel_traces LIMIT 1
SELECT * REPLACE (upper(SpanName) AS SpanName) FROM otel_traces LIMIT 1
SELECT COLUMNS('Id$') FROM otel_traces LIMIT 1
SELECT TraceId FROM otel_traces WHERE TraceId = {id:String}
SELECT DISTINCT ON (TraceId) SpanName FROM otel_traces
SELECT TenantId, ServiceName, count() FROM otel_traces GROUP BY GROUPING SETS ((TenantId), (ServiceName))
SELECT TenantId, count() FROM otel_traces GROUP BY ALL ORDER BY ALL
SELECT 1 FORMAT JSON
SELECT * FROM otel_traces FORMAT JSONEachRow
SELECT * FROM otel_traces FORMAT JSONCompact
SELECT TraceId FROM otel_traces FORMAT CSVWithNames
SELECT TraceId FROM otel_traces FORMAT Native
SELECT TraceId FROM otel_traces FORMAT Parquet
SELECT TraceId FROM otel_traces FORMAT Arrow
SELECT TraceId FROM otel_traces FORMAT PrettyCompact
SELECT * FROM lessons
SELECT * FROM findings
SELECT * FROM judgements
SELECT * FROM exposures
SELECT * FROM learning_log
SELECT * FROM agent_runs FINAL
/* a comment */ SELECT -- another{nl} 1
