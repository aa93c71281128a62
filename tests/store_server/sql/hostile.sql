## files by scalar functions
SELECT file('{canary}')
SELECT `file`('{canary}')
SELECT "file"('{canary}')
SELECT FILE('{canary}')
SELECT file/**/('{canary}')
SELECT file -- comment{nl}('{canary}')
SELECT file#! comment{nl}('{canary}')
SELECT file(concat('/', substring('{canary}', 2)))
SELECT file({path:String})
SELECT file($${canary}$$)
SELECT file($x${canary}$x$)
SELECT file('../credentials.json')
SELECT file('credentials.json')
SELECT file('access.xml')
SELECT file('/proc/self/environ')
SELECT file('/proc/self/maps')
SELECT file('/proc/self/mem')
SELECT file('/dev/stdin')
SELECT file('/nowhere', NULL)
SELECT file('{canary}', 'fallback')
SELECT length(file('{canary}'))
SELECT 1 WHERE file('{canary}') LIKE 'C%'
SELECT 1 FROM numbers(1) PREWHERE file('{canary}') != ''
SELECT count() FROM numbers(2) GROUP BY file('{canary}')
SELECT number FROM numbers(2) ORDER BY file('{canary}')
SELECT number FROM numbers(2) ORDER BY number LIMIT length(file('{canary}'))
SELECT number FROM numbers(2) HAVING file('{canary}') != ''
SELECT number FROM numbers(2) QUALIFY file('{canary}') != ''
SELECT number FROM numbers(2) LIMIT 1 BY file('{canary}')
WITH file('{canary}') AS x SELECT x
WITH (SELECT file('{canary}')) AS x SELECT x
WITH t AS (SELECT file('{canary}') AS c) SELECT c FROM t
WITH x -> file(x) AS f SELECT f('{canary}')
WITH RECURSIVE t AS (SELECT file('{canary}') AS c UNION ALL SELECT c FROM t) SELECT c FROM t
SELECT * FROM (SELECT file('{canary}'))
SELECT 1 UNION ALL SELECT length(file('{canary}'))
SELECT 'x' INTERSECT SELECT file('{canary}')
SELECT 'x' EXCEPT SELECT file('{canary}')
SELECT 1 IN (SELECT file('{canary}'))
SELECT EXISTS(SELECT file('{canary}'))
(SELECT file('{canary}'))
FROM numbers(1) SELECT file('{canary}')
SELECT CASE WHEN 1 THEN file('{canary}') END
SELECT if(1, file('{canary}'), '')
SELECT file('{canary}')::String
SELECT CAST(file('{canary}') AS String)
SELECT [file('{canary}')][1]
SELECT (file('{canary}'), 1).1
SELECT map('a', file('{canary}'))['a']
SELECT DISTINCT ON (file('{canary}')) 1
SELECT * REPLACE (file('{canary}') AS number) FROM numbers(1)
SELECT sum(length(file('{canary}'))) OVER () FROM numbers(1)
SELECT sum(1) OVER (PARTITION BY file('{canary}')) FROM numbers(1)
SELECT sum(1) OVER w FROM numbers(1) WINDOW w AS (ORDER BY file('{canary}'))
SELECT a.number FROM numbers(1) a JOIN numbers(1) b ON a.number = b.number AND file('{canary}') != ''
SELECT x FROM numbers(1) ARRAY JOIN [file('{canary}')] AS x
SELECT number FROM numbers(2) ORDER BY number WITH FILL TO length(file('{canary}'))
SELECT number, 'a' AS s FROM numbers(2) ORDER BY number WITH FILL INTERPOLATE (s AS file('{canary}'))
SELECT count() FROM numbers(1) GROUP BY GROUPING SETS ((file('{canary}')))
SELECT * FROM numbers(1) |> EXTEND file('{canary}')
DESCRIBE (SELECT file('{canary}'))
## files by functions that take functions
SELECT arrayMap(file, ['{canary}'])
SELECT arrayMap(`file`, ['{canary}'])
SELECT arrayMap(FILE, ['{canary}'])
SELECT arrayMap(x -> file(x), ['{canary}'])
SELECT arrayMap((x) -> (file(x)), ['{canary}'])
SELECT arrayMap((x, y) -> file(x), ['{canary}'], [1])
SELECT arrayFilter(x -> file(x) != '', ['{canary}'])
SELECT arrayExists(file, ['{canary}'])
SELECT arrayFold((a, x) -> concat(a, file(x)), ['{canary}'], '')
SELECT arraySort(x -> file(x), ['{canary}', '/b'])
SELECT mapApply((k, v) -> (k, file(v)), map('a', '{canary}'))
SELECT arrayMap(arrayMap(file, x), [['{canary}']])
WITH file AS f SELECT arrayMap(f, ['{canary}'])
SELECT * APPLY(file) FROM (SELECT '{canary}')
SELECT * APPLY file FROM (SELECT '{canary}')
SELECT * APPLY(x -> file(x)) FROM (SELECT '{canary}')
SELECT COLUMNS('.*') APPLY(file) FROM (SELECT '{canary}' AS a)
SELECT COLUMNS(a) APPLY(file) FROM (SELECT '{canary}' AS a)
SELECT t.* APPLY(file) FROM (SELECT '{canary}' AS a) t
SELECT * EXCEPT (b) APPLY(file) FROM (SELECT '{canary}' AS a, 1 AS b)
SELECT * REPLACE('{canary}' AS dummy) APPLY(file) FROM system.one
SELECT * APPLY(toString) APPLY(file) FROM (SELECT '{canary}')
SELECT arrayMap(sleep, [3])
SELECT arrayMap(getSetting, ['max_threads'])
SELECT arrayMap(hostName, [1])
## files by table functions
SELECT * FROM file('{canary}')
SELECT * FROM file('{canary}', 'LineAsString')
SELECT * FROM file('{canary}', 'RawBLOB', 'a String')
SELECT * FROM `file`('{canary}', 'LineAsString')
SELECT * FROM FILE('{canary}', LineAsString)
SELECT * FROM file('{dir}/*', 'LineAsString')
SELECT * FROM file('{dir}/{1..3}.txt', 'LineAsString')
SELECT _path, _size FROM file('{dir}/**', 'One')
SELECT * FROM file(0, 'LineAsString')
SELECT * FROM fileCluster('default', '{canary}', 'LineAsString')
SELECT * FROM filesystem('{dir}')
SELECT * FROM numbers(1) JOIN file('{canary}', 'LineAsString') ON 1 = 1
SELECT * FROM (SELECT * FROM file('{canary}', 'LineAsString')) x
SELECT 1 IN (SELECT line FROM file('{canary}', 'LineAsString'))
WITH x AS (SELECT * FROM file('{canary}', 'LineAsString')) SELECT * FROM x
SELECT * FROM view(SELECT * FROM file('{canary}', 'LineAsString'))
SELECT * FROM viewIfPermitted(SELECT file('{canary}') AS a ELSE null('a String'))
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))
SELECT * FROM sqlite('{dir}/x.db', 't')
SELECT * FROM icebergLocal('{dir}')
SELECT * FROM deltaLakeLocal('{dir}')
SELECT * FROM paimonLocal('{dir}')
SELECT * FROM loop(file('{canary}', 'LineAsString'))
SELECT * FROM loop(spanlore.otel_traces)
SELECT * FROM executable('cat {canary}', 'LineAsString', 'a String')
SELECT * FROM executable('touch', 'TSV', 'a String', (SELECT '{dir}/new'))
SELECT * FROM python('os')
SELECT * FROM Python(credentials)
SELECT * FROM input('a String')
SELECT * FROM eval('SELECT file(\'{canary}\')')
SELECT * FROM fuzzQuery('SELECT 1')
SELECT * FROM fuzzJSON('a', 'b')
SELECT * FROM generateRandom('a UInt8')
SELECT * FROM null('a UInt8')
SELECT * FROM arrowstream('{canary}')
DESCRIBE file('{canary}', 'LineAsString')
DESCRIBE TABLE file('{canary}')
## files as tables
SELECT * FROM `{canary}`
SELECT * FROM '{canary}'
SELECT * FROM "{canary}"
SELECT * FROM default.`{canary}`
SELECT * FROM `default`.`{canary}`
SELECT * FROM spanlore.`{canary}`
SELECT * FROM `../credentials.json`
SELECT * FROM default.`access.xml`
SELECT * FROM default.`../store.lock`
SELECT * FROM {name:Identifier}
SELECT * FROM default.{name:Identifier}
SELECT 1 IN `{canary}`
SELECT 1 IN (`{canary}`)
SELECT 1 FROM numbers(1) JOIN `{canary}` ON 1
WITH x AS (SELECT * FROM `{canary}`) SELECT * FROM x
DESCRIBE `{canary}`
DESCRIBE TABLE default.`{canary}`
SHOW CREATE TABLE default.`{canary}`
EXISTS TABLE `{canary}`
SHOW TABLES FROM `{dir}`
SHOW COLUMNS FROM `{canary}` FROM default
CHECK TABLE `{canary}`
## writing files
SELECT 1 INTO OUTFILE '{dir}/new'
SELECT 1 INTO OUTFILE '{dir}/new' TRUNCATE FORMAT CSV
SELECT 1 INTO OUTFILE '{dir}/new' APPEND
SELECT 1 INTO OUTFILE '{dir}/new' AND STDOUT
SELECT 1 INTO/**/OUTFILE '{dir}/new'
SELECT 1 INTO --{nl}OUTFILE '{dir}/new'
SELECT 1 into outfile '{dir}/new' COMPRESSION 'gzip' LEVEL 1
SELECT 1 INTO OUTFILE {path:String}
(SELECT 1) INTO OUTFILE '{dir}/new'
INSERT INTO FUNCTION file('{dir}/new', 'CSV', 'a UInt8') VALUES (1)
INSERT INTO FUNCTION file('{dir}/new', 'CSV', 'a UInt8') SELECT 1
INSERT INTO TABLE FUNCTION file('{dir}/new', 'CSV', 'a UInt8') FORMAT CSV 1
INSERT INTO `{dir}/new` VALUES (1)
INSERT INTO spanlore.otel_traces (TraceId) VALUES ('x')
INSERT INTO otel_traces (TraceId) SELECT 'x'
INSERT INTO otel_logs FORMAT JSONEachRow {"Body": "x"}
INSERT INTO otel_traces FROM INFILE '{canary}' FORMAT TSV
EXPLAIN INSERT INTO otel_traces (TraceId) SELECT 'x'
CREATE TABLE t (a UInt8) ENGINE = File(CSV, '{dir}/new')
CREATE TABLE t ENGINE = MergeTree ORDER BY tuple() AS SELECT 1
CREATE TEMPORARY TABLE t (a UInt8)
CREATE OR REPLACE TABLE otel_traces (a UInt8) ENGINE = Memory
CREATE VIEW v AS SELECT 1
CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT * FROM otel_traces
CREATE DATABASE d ENGINE = Filesystem('{dir}')
CREATE DATABASE d
CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(FILE(path '{canary}' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)
CREATE FUNCTION f AS x -> file(x)
CREATE NAMED COLLECTION c AS a = 1
CREATE USER u
CREATE ROLE r
CREATE ROW POLICY p ON otel_traces USING 1 TO ALL
CREATE WORKLOAD w
ATTACH TABLE t FROM '{dir}' (a UInt8) ENGINE = MergeTree ORDER BY a
DETACH TABLE otel_traces
DROP TABLE otel_traces
DROP DATABASE spanlore
UNDROP TABLE otel_traces
TRUNCATE TABLE otel_traces
TRUNCATE ALL TABLES FROM spanlore
RENAME TABLE otel_traces TO x
EXCHANGE TABLES otel_traces AND otel_logs
ALTER TABLE otel_traces DELETE WHERE 1
ALTER TABLE otel_traces UPDATE UserId = 'x' WHERE 1
ALTER TABLE otel_traces ADD COLUMN x UInt8
ALTER TABLE otel_traces MODIFY TTL now()
DELETE FROM otel_traces WHERE 1
UPDATE otel_traces SET UserId = 'x' WHERE 1
OPTIMIZE TABLE otel_traces FINAL
BACKUP TABLE otel_traces TO File('{dir}/new')
BACKUP DATABASE spanlore TO Disk('default', 'new')
RESTORE TABLE otel_traces FROM File('{canary}')
COPY otel_traces TO '{dir}/new'
dRoP /* x */ TABLE otel_traces
/* SELECT */ DROP TABLE otel_traces
-- SELECT 1{nl}DROP TABLE otel_traces
## sockets
SELECT * FROM url('http://127.0.0.1:{port}/', 'TSV', 'a String')
SELECT * FROM url('http://localhost:{port}/', LineAsString)
SELECT * FROM URL('http://[::1]:{port}/', CSV)
SELECT * FROM urlCluster('default', 'http://127.0.0.1:{port}/', 'TSV', 'a String')
SELECT * FROM remote('127.0.0.1:{port}', system.one)
SELECT * FROM remote('127.0.0.1:{port}', system, one)
SELECT * FROM remote('127.0.0.1', view(SELECT 1))
SELECT * FROM remoteSecure('127.0.0.1:{port}', system.one)
SELECT * FROM cluster('default', system.one)
SELECT * FROM clusterAllReplicas('default', system.processes)
SELECT * FROM s3('http://127.0.0.1:{port}/b/k', 'TSV', 'a String')
SELECT * FROM s3('http://127.0.0.1:{port}/b/k', NOSIGN, 'TSV')
SELECT * FROM s3Cluster('default', 'http://127.0.0.1:{port}/b/k', 'TSV', 'a String')
SELECT * FROM gcs('http://127.0.0.1:{port}/b/k', 'TSV', 'a String')
SELECT * FROM oss('http://127.0.0.1:{port}/b/k', 'TSV', 'a String')
SELECT * FROM cosn('http://127.0.0.1:{port}/b/k', 'TSV', 'a String')
SELECT * FROM hdfs('hdfs://127.0.0.1:{port}/x', 'TSV', 'a String')
SELECT * FROM azureBlobStorage('http://127.0.0.1:{port}/', 'c', 'b', 'n', 'a2V5', 'TSV')
SELECT * FROM mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p')
SELECT * FROM postgresql('127.0.0.1:{port}', 'd', 't', 'u', 'p')
SELECT * FROM mongodb('127.0.0.1:{port}', 'd', 'c', 'u', 'p', 'a String')
SELECT * FROM redis('127.0.0.1:{port}', 'k', 'k String, v String')
SELECT * FROM jdbc('jdbc:sqlite:x', 't')
SELECT * FROM odbc('DSN=x', 't')
SELECT * FROM bigquery('p', 'd', 't')
SELECT * FROM ytsaurus('http://127.0.0.1:{port}', '//x', 't', 'a String')
SELECT * FROM iceberg('http://127.0.0.1:{port}/b/k', 'a', 'b')
SELECT * FROM icebergS3('http://127.0.0.1:{port}/b/k')
SELECT * FROM deltaLake('http://127.0.0.1:{port}/b/k', 'a', 'b')
SELECT * FROM hudi('http://127.0.0.1:{port}/b/k', 'a', 'b')
SELECT * FROM paimonS3('http://127.0.0.1:{port}/b/k')
SELECT * FROM prometheusQuery('spanlore', 't', 'up', now())
INSERT INTO FUNCTION url('http://127.0.0.1:{port}/', 'TSV', 'a String') SELECT * FROM otel_traces
INSERT INTO FUNCTION remote('127.0.0.1:{port}', d, t) SELECT 1
CREATE TABLE t (a String) ENGINE = URL('http://127.0.0.1:{port}/', TSV)
SELECT aiGenerate('prompt')
SELECT AIGenerate('prompt')
SELECT aiEmbed('a'), aiClassify('a', ['b'])
SELECT catboostEvaluate('http://127.0.0.1:{port}/m', 1)
SELECT naiveBayesClassifier('m', 'x')
SELECT evalMLMethod('m', 1)
SELECT dictGet('url', 'a', toUInt64(1))
SELECT regionToName(toUInt32(1))
SELECT showCertificate()
## other statements
SET max_execution_time = 0
SET readonly = 0
SET ROLE owner
SET ROLE ALL
SET ROLE DEFAULT
SET DEFAULT ROLE ALL TO default
SET additional_table_filters = {}
SET TRANSACTION SNAPSHOT 1
USE system
USE default
SYSTEM FLUSH LOGS
SYSTEM SHUTDOWN
SYSTEM KILL
SYSTEM STOP MERGES
SYSTEM RELOAD CONFIG
SYSTEM DROP MARK CACHE
SYSTEM ENABLE FAILPOINT x
KILL QUERY WHERE 1
KILL QUERY WHERE query_id != '' SYNC
KILL MUTATION WHERE 1
GRANT owner TO default
GRANT SELECT ON *.* TO reader
REVOKE ALL ON *.* FROM default
EXECUTE AS default SELECT 1
BEGIN TRANSACTION
COMMIT
MOVE USER u TO local_directory
SELECT 1; DROP TABLE otel_traces
SELECT 1; SELECT 2
SELECT 1;; DROP TABLE otel_traces
SELECT 1 /* ; */ ; /* */ DROP TABLE otel_traces -- SELECT
EXPLAIN AST SELECT 1; DROP TABLE otel_traces
SELECT 1 PARALLEL WITH DROP TABLE otel_traces
SELECT 1 PARALLEL WITH SELECT file('{canary}')
EXPLAIN SELECT file('{canary}')
EXPLAIN SYNTAX SELECT file('{canary}')
EXPLAIN QUERY TREE SELECT file('{canary}')
EXPLAIN PIPELINE SELECT 1
EXPLAIN PLAN SELECT (SELECT file('{canary}'))
EXPLAIN PLAN SELECT 1 WHERE 1 IN (SELECT length(note) FROM private_notes)
EXPLAIN SELECT (SELECT note FROM private_notes)
EXPLAIN SYNTAX SELECT * FROM file('{canary}')
EXPLAIN QUERY TREE SELECT (SELECT any(query) FROM system.processes)
EXPLAIN AST DROP TABLE otel_traces
EXPLAIN AST INSERT INTO otel_traces (TraceId) SELECT 'x'
EXPLAIN SYNTAX CREATE TABLE x (a UInt8) ENGINE = Memory
EXPLAIN actions = 1 SELECT file('{canary}')
EXPLAIN json = 1 SELECT * FROM otel_traces
EXPLAIN CURRENT TRANSACTION
EXPLAIN EXPLAIN ESTIMATE SELECT * FROM otel_traces
EXISTS TABLE default.`{canary}`
EXISTS TABLE default.`access.xml`
EXISTS TABLE `access.xml`
EXISTS TABLE other.notes
EXISTS DATABASE other
EXISTS DICTIONARY x
EXPLAIN ESTIMATE SELECT * FROM otel_traces
EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p') x
SELECT * FROM (EXPLAIN SELECT file('{canary}'))
SELECT * FROM (EXPLAIN QUERY TREE SELECT * FROM system.processes)
SHOW PROCESSLIST
SHOW FULL PROCESSLIST
SHOW GRANTS
SHOW ACCESS
SHOW USERS
SHOW ROLES
SHOW CURRENT ROLES
SHOW SETTINGS LIKE '%'
SHOW CHANGED SETTINGS
SHOW MERGES
SHOW CLUSTERS
SHOW DICTIONARIES
SHOW ENGINES
SHOW FUNCTIONS
SHOW FILESYSTEM CACHES
SHOW CREATE DATABASE spanlore
SHOW CREATE TABLE system.processes
SHOW CREATE USER default
SHOW TABLES WHERE file('{canary}') != ''
SHOW TABLES WHERE throwIf(total_rows > 0) = 0
SHOW TABLES LIMIT (SELECT length(file('{canary}')))
SHOW /* x */ PROCESSLIST
SHOW TABLES FROM system WHERE name IN (SELECT query FROM system.processes)
SHOW DATABASES WHERE 1
SHOW INDEX FROM otel_traces
SHOW SETTING max_threads
EXISTS DATABASE system
CHECK TABLE otel_traces
CHECK GRANT SELECT ON *.*
WATCH otel_traces
HANDLER x
## settings in the statement
SELECT 1 SETTINGS readonly = 0
SELECT 1 SETTINGS max_threads = 1, readonly = 0
SELECT 1 SETTINGS max_threads = 1 SETTINGS readonly = 0
SELECT 1 SETTINGS /**/ readonly = 0
SELECT 1 SETTINGS `readonly` = 0
SELECT 1 SETTINGS max_threads = 1{spaces}x
SELECT 1 SETTINGS max_threads{spaces}x
SELECT 1 SETTINGS max_threads = 1{spaces},{spaces}x
SELECT 1 SETTINGS max_bytes_before_external_sort = 1
SELECT 1 SETTINGS additional_table_filters = {}
SELECT 1 SETTINGS allow_ddl = 1, allow_introspection_functions = 1
SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)
SELECT 1 UNION ALL SELECT 1 SETTINGS readonly = 0
WITH x AS (SELECT 1 SETTINGS readonly = 0) SELECT * FROM x
SELECT * FROM url('http://127.0.0.1:{port}/') SETTINGS allow_experimental_eval_table_function = 1
SELECT 1 FORMAT TSV SETTINGS readonly = 0
DESCRIBE TABLE otel_traces SETTINGS readonly = 0
SELECT 1 SETTINGS format_template_resultset = '{canary}' FORMAT Template
SELECT 1 SETTINGS output_format_schema = '{dir}/new' FORMAT Protobuf
SELECT 1 SETTINGS dialect = 'kusto'
## secrets of the server and of others
SELECT * FROM system.processes
SELECT query FROM system.processes
SELECT query FROM `system`.`processes`
SELECT query FROM "system"."processes"
SELECT query FROM system . processes
SELECT query FROM system/**/./**/processes
SELECT query FROM {db:Identifier}.processes
SELECT query FROM {processes:Identifier}
SELECT p.query FROM system.processes AS p
SELECT 1 IN system.processes
SELECT 'x' IN (SELECT query FROM system.processes)
SELECT * FROM numbers(1) JOIN system.processes ON 1
WITH processes AS (SELECT * FROM system.processes) SELECT * FROM processes
SELECT * FROM merge('system', 'processes')
SELECT * FROM merge('system', '^proc')
SELECT * FROM merge(REGEXP('system'), 'processes')
SELECT * FROM view(SELECT query FROM system.processes)
SELECT (SELECT any(query) FROM system.processes)
DESCRIBE TABLE system.processes
SELECT * FROM system.query_cache
SELECT * FROM system.query_condition_cache
SELECT * FROM system.users
SELECT * FROM system.roles
SELECT * FROM system.grants
SELECT * FROM system.row_policies
SELECT * FROM system.current_roles
SELECT * FROM system.settings_profiles
SELECT * FROM system.server_settings
SELECT * FROM system.named_collections
SELECT * FROM system.merge_tree_settings
SELECT * FROM system.macros
SELECT * FROM system.metrics
SELECT * FROM system.events
SELECT * FROM system.asynchronous_metrics
SELECT * FROM system.disks
SELECT * FROM system.parts
SELECT * FROM system.parts_columns
SELECT * FROM system.detached_parts
SELECT * FROM system.mutations
SELECT * FROM system.merges
SELECT * FROM system.clusters
SELECT * FROM system.dictionaries
SELECT * FROM system.errors
SELECT * FROM system.warnings
SELECT * FROM system.stack_trace
SELECT * FROM system.backups
SELECT * FROM system.build_options
SELECT * FROM system.certificates
SELECT * FROM system.query_log
SELECT * FROM system.text_log
SELECT * FROM system.user_processes
SELECT * FROM system.session_log
SELECT * FROM system.zookeeper
SELECT * FROM system.remote_data_paths
SELECT * FROM system.filesystem_cache
SELECT * FROM system.dropped_tables
SELECT * FROM information_schema.processes
SELECT * FROM INFORMATION_SCHEMA.processlist
SELECT * FROM dictionary('system.processes')
SELECT * FROM mergeTreeIndex('spanlore', 'otel_traces')
SELECT * FROM mergeTreeProjection('spanlore', 'otel_traces', 'p')
SELECT * FROM mergeTreeAnalyzeIndexes('spanlore', 'otel_traces')
SELECT * FROM mergeTreeTextIndex('spanlore', 'otel_traces', 'idx')
SELECT * FROM timeSeriesData('spanlore', 't')
SELECT joinGet('system.processes', 'query', 1)
SELECT hasColumnInTable('system', 'processes', 'query')
SELECT getSetting('max_threads')
SELECT getSettingOrDefault('max_threads', 1)
SELECT getServerSetting('max_server_memory_usage')
SELECT getMergeTreeSetting('index_granularity')
SELECT getMacro('x')
SELECT getClientHTTPHeader('Authorization')
SELECT getServerPort('http_port')
SELECT getOSKernelVersion()
SELECT globalVariable('version')
SELECT hostName(), FQDN(), tcpPort(), serverUUID()
SELECT currentRoles(), enabledRoles(), defaultRoles()
SELECT currentProfiles(), enabledProfiles()
SELECT currentQueryID(), initialQueryID(), connectionId()
SELECT filesystemAvailable(), filesystemCapacity(), filesystemUnreserved()
SELECT addressToLine(1), addressToSymbol(1), demangle('x')
SELECT tid(), logTrace('x')
SELECT queryID(), buildId(), uptime()
SELECT zookeeperSessionUptime(), transactionID()
SELECT structureToCapnProtoSchema('a UInt8')
SELECT decrypt('aes-128-ecb', 'x', 'y')
SELECT currentRequestURL(), currentHandler()
SELECT runningConcurrency(now(), now())
SELECT obfuscateQuery('x'), fuzzQuery('SELECT 1')
SELECT spanlore_unknown_function(1)
SELECT formatRow('Template', 1)
SELECT sleep(3)
SELECT sleepEachRow(3) FROM numbers(10)
SELECT * FROM default.x
SELECT * FROM spanlore.store_versions
SELECT * FROM spanlore.schema_migrations
SELECT * FROM spanlore.private_notes
SELECT * FROM private_notes
SELECT 1 IN private_notes
SELECT * FROM `spanlore`.`private_notes`
SELECT * FROM other.notes
SELECT * FROM merge('other', 'notes')
SELECT * FROM merge('private.*')
SELECT * FROM spanlore.private_view
SHOW CREATE TABLE private_notes
DESCRIBE private_notes
SELECT * FROM `.inner.x`
SELECT * FROM _temporary_and_external_tables.t
