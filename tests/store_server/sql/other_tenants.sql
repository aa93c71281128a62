## reading another tenant's rows
SELECT * FROM otel_traces
SELECT * FROM spanlore.otel_traces
SELECT * FROM otel_traces WHERE TenantId = 'rival'
SELECT * FROM otel_traces WHERE 1 OR TenantId != 'acme'
SELECT * FROM otel_traces PREWHERE TenantId = 'rival'
SELECT * FROM otel_traces FINAL
SELECT * FROM otel_traces FINAL WHERE TenantId = 'rival'
SELECT * FROM otel_traces AS t
SELECT t.* FROM spanlore.otel_traces t
SELECT * FROM otel_traces AS `spanlore.otel_traces`
SELECT * FROM (SELECT * FROM otel_traces)
SELECT * FROM (SELECT * FROM (SELECT *, 'acme' AS TenantId FROM otel_traces))
SELECT 'acme' AS TenantId, SpanName, Duration FROM otel_traces
SELECT SpanName AS TenantId FROM otel_traces
WITH x AS (SELECT * FROM otel_traces) SELECT * FROM x
WITH 'rival' AS TenantId SELECT SpanName FROM otel_traces
WITH otel_traces AS (SELECT * FROM spanlore.otel_traces) SELECT * FROM otel_traces
WITH RECURSIVE x AS (SELECT SpanName FROM otel_traces UNION ALL SELECT SpanName FROM x WHERE 0) SELECT * FROM x
SELECT * FROM view(SELECT * FROM otel_traces)
SELECT * FROM view(SELECT * FROM view(SELECT * FROM spanlore.otel_traces))
SELECT * FROM merge('spanlore', 'otel_traces')
SELECT * FROM merge('otel_.*')
SELECT * FROM loop('spanlore', 'otel_traces')
SELECT * FROM remote('localhost', spanlore.otel_traces)
SELECT * FROM cluster('default', spanlore.otel_traces)
SELECT a.SpanName, b.SpanName FROM otel_traces a CROSS JOIN otel_traces b
SELECT b.SpanName FROM system.one a LEFT JOIN otel_traces b ON 1 = 1
SELECT b.SpanName FROM otel_traces a RIGHT JOIN otel_traces b ON a.TenantId = b.TenantId
SELECT b.SpanName FROM otel_traces a FULL JOIN otel_traces b ON a.TenantId != b.TenantId
SELECT b.SpanName FROM otel_logs a ANY RIGHT JOIN otel_traces b USING (TraceId)
SELECT b.SpanName FROM otel_logs a ASOF JOIN otel_traces b ON a.TraceId = b.TraceId AND a.Timestamp >= b.Timestamp
SELECT SpanName FROM otel_logs GLOBAL RIGHT JOIN otel_traces USING (TraceId)
SELECT SpanName FROM otel_traces WHERE TraceId IN (SELECT TraceId FROM otel_traces)
SELECT any(SpanName) FROM otel_traces GROUP BY TenantId WITH TOTALS
SELECT SpanName, count() FROM otel_traces GROUP BY SpanName WITH ROLLUP
SELECT SpanName, count() FROM otel_traces GROUP BY CUBE(SpanName)
SELECT groupArray(SpanName), max(Duration), min(Duration), sum(Duration) FROM otel_traces
SELECT groupUniqArray(SpanAttributes) FROM otel_traces
SELECT topK(10)(SpanName), anyHeavy(SpanName), argMax(SpanName, Duration) FROM otel_traces
SELECT quantiles(0, 0.5, 1)(Duration) FROM otel_traces
SELECT first_value(SpanName) OVER (ORDER BY Duration DESC) FROM otel_traces
SELECT lagInFrame(SpanName) OVER (ORDER BY Duration) FROM otel_traces
SELECT SpanName FROM otel_traces ORDER BY Duration DESC LIMIT 1
SELECT SpanName FROM otel_traces LIMIT 100 OFFSET 0
SELECT SpanName FROM otel_traces LIMIT 5 BY TenantId
SELECT DISTINCT SpanName, TenantId FROM otel_traces
SELECT DISTINCT ON (TenantId) SpanName FROM otel_traces
SELECT SpanName FROM otel_traces SAMPLE 1
SELECT SpanName FROM otel_traces UNION ALL SELECT SpanName FROM otel_traces WHERE TenantId = 'rival'
SELECT SpanName FROM otel_traces INTERSECT SELECT SpanName FROM otel_traces
SELECT 'x' EXCEPT SELECT SpanName FROM otel_traces
SELECT (SELECT groupArray(SpanName) FROM otel_traces)
SELECT (SELECT max(Duration) FROM spanlore.otel_traces)
SELECT arrayMap(x -> x, (SELECT groupArray(SpanName) FROM otel_traces))
SELECT minMap(SpanAttributes) FROM otel_traces
SELECT arrayJoin(mapValues(SpanAttributes)) FROM otel_traces
SELECT x FROM otel_traces ARRAY JOIN mapValues(SpanAttributes) AS x
SELECT x.1, x.2 FROM otel_traces ARRAY JOIN CAST(SpanAttributes, 'Array(Tuple(String, String))') AS x
SELECT SpanAttributes.keys, SpanAttributes.values FROM otel_traces
SELECT * REPLACE ('acme' AS TenantId) FROM otel_traces
SELECT * EXCEPT (TenantId) FROM otel_traces
SELECT COLUMNS('.*') FROM otel_traces
SELECT InputMessages, SystemInstructions, SpanAttributeItems FROM otel_traces
SELECT _part, _partition_id, _part_offset, _block_number, SpanName FROM otel_traces
SELECT _table, _database, SpanName FROM otel_traces
SELECT * FROM otel_traces WHERE _part LIKE '%'
SELECT SpanName FROM otel_traces WINDOW w AS () QUALIFY row_number() OVER w > 0
SELECT * FROM otel_logs
SELECT Body FROM otel_logs WHERE TenantId = 'rival'
SELECT * FROM agent_runs
SELECT * FROM agent_runs FINAL
SELECT * FROM judgements
SELECT * FROM lessons
SELECT * FROM overrides
SELECT * FROM exposures
SELECT * FROM {table:Identifier}
SELECT * FROM {db:Identifier}.otel_traces
## tables that no tenant has to itself
SELECT * FROM otel_traces_trace_id_ts
SELECT * FROM harness_parts
SELECT * FROM findings
SELECT * FROM learning_log
SELECT * FROM analyses
SELECT * FROM private_notes
DESCRIBE harness_parts
## telling of rows by failing on them
SELECT toUInt8(SpanName) FROM otel_traces
SELECT count() FROM otel_traces WHERE toUInt8(SpanName) = 1
SELECT count() FROM otel_traces PREWHERE toUInt8(SpanName) = 1
SELECT count() FROM otel_traces PREWHERE toDateTime(SpanName) > 0 WHERE TenantId = 'rival'
SELECT count() FROM otel_traces WHERE TenantId = 'rival' AND toUInt8(SpanName) = 1
SELECT count() FROM otel_traces WHERE CAST(SpanName AS Enum8('a' = 1)) = 'a'
SELECT count() FROM otel_traces PREWHERE CAST(SpanName AS UUID) != generateUUIDv4()
SELECT count() FROM otel_traces PREWHERE JSONExtractString(SpanName) != parseDateTime(SpanName, '%Y')
SELECT throwIf(SpanName LIKE 'CANARY%', 'it is CANARY-THROWN') FROM otel_traces
SELECT count() FROM otel_traces PREWHERE throwIf(Duration > 1000000000, 'it is CANARY-THROWN') = 0
SELECT count() FROM otel_traces WHERE intDiv(1, Duration != 424242424242) = 5
SELECT count() FROM otel_traces PREWHERE throwIf(TenantId = 'rival', 'it is CANARY-THROWN') = 0
SELECT sum(throwIf(Duration > 1000000000, 'it is CANARY-THROWN')) FROM otel_traces
SELECT 1 FROM otel_logs a JOIN otel_traces b ON throwIf(b.Duration > 1000000000, 'it is CANARY-THROWN') = 0
## values that stand in a dictionary next to their own
SELECT lowCardinalityKeys(SpanName) FROM otel_traces
SELECT lowCardinalityIndices(SpanName) FROM otel_traces
SELECT arrayMap(lowCardinalityKeys, [SpanName]) FROM otel_traces
SELECT dumpColumnStructure(SpanName) FROM otel_traces
SELECT toUInt8(ServiceName) FROM otel_traces
SELECT accurateCast(ServiceName, 'UInt8') FROM otel_traces
SELECT CAST(SpanName, 'Enum8(\'ask\' = 1)') FROM otel_traces
SELECT throwIf(ServiceName LIKE 'CANARY%', 'it is CANARY-THROWN') FROM otel_traces
SELECT throwIf(SpanName = 'CANARY-SPAN', 'it is CANARY-THROWN') FROM otel_traces
SELECT count() FROM otel_traces PREWHERE throwIf(SpanName = 'CANARY-SPAN', 'it is CANARY-THROWN') = 0
SELECT toDateTime(SpanName) FROM otel_traces
SELECT SpanName::UUID FROM otel_traces
SELECT parseDateTime(SpanName) FROM otel_traces
SELECT JSONExtract(SpanName, 'JSON') FROM otel_traces
SELECT SpanName::JSON FROM otel_traces
SELECT unhex(SpanName), IPv4StringToNum(SpanName) FROM otel_traces
SELECT toDecimal32(SpanName, 1) FROM otel_traces
SELECT toFixedString(SpanName, 1) FROM otel_traces
SELECT max(SpanName), min(SpanName), uniq(SpanName), groupUniqArray(SpanName) FROM otel_traces
SELECT byteSize(SpanName), blockSize() FROM otel_traces
SELECT SpanName FROM otel_traces FORMAT Native
SELECT SpanName FROM otel_traces FORMAT Arrow
SELECT SpanName FROM otel_traces FORMAT Parquet
## the catalogue, where everyone's rows are counted
SELECT total_rows FROM system.tables
SELECT * FROM system.tables WHERE name = 'otel_traces'
SELECT sum(data_compressed_bytes) FROM system.columns
SELECT * FROM information_schema.tables
SELECT * FROM INFORMATION_SCHEMA.TABLES
SELECT * FROM INFORMATION_SCHEMA.STATISTICS
SELECT rows FROM system.parts
SELECT * FROM system.parts_columns
SHOW TABLES WHERE throwIf(total_rows > 1, 'it is CANARY-THROWN') = 0
SHOW TABLE STATUS
EXPLAIN ESTIMATE SELECT * FROM otel_traces
EXPLAIN SELECT (SELECT groupArray(SpanName) FROM otel_traces)
EXPLAIN QUERY TREE SELECT (SELECT max(Duration) FROM otel_traces WHERE TenantId = 'rival')
EXPLAIN SYNTAX SELECT (SELECT any(Body) FROM otel_logs WHERE TenantId = 'rival') AS said
EXPLAIN indexes = 1 SELECT * FROM otel_traces WHERE TenantId = 'rival'
SELECT * FROM mergeTreeIndex('spanlore', 'otel_traces', with_minmax = 1)
SELECT * FROM mergeTreeAnalyzeIndexes('spanlore', 'otel_traces', 1)
SELECT joinGet('otel_traces', 'SpanName', 'x')
SELECT estimateCompressionRatio(SpanName) FROM otel_traces SETTINGS max_threads = 1
SELECT 1 SETTINGS SQL_tenant = 'rival'
SET ROLE owner
