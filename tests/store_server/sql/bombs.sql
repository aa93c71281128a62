SELECT * FROM numbers(1e12)
SELECT number FROM numbers(1e12) FORMAT JSON
SELECT count() FROM numbers(1e15) WHERE sipHash64(number) = 1
SELECT count() FROM numbers_mt(1e15) WHERE sipHash64(number) = 1
SELECT count() FROM generate_series(1, 1000000000000)
SELECT count() FROM numbers(1e6) a, numbers(1e6) b
SELECT count() FROM numbers(1e5) a, numbers(1e5) b, numbers(1e5) c WHERE a.number + b.number = c.number
SELECT count() FROM numbers(1e7) a JOIN numbers(1e10) b ON a.number = b.number
SELECT count() FROM numbers(1e6) a JOIN numbers(1e6) b ON a.number % 2 = b.number % 2
SELECT length(repeat('x', 1000000000))
SELECT repeat('x', 1000000) FROM numbers(60000)
SELECT repeat('x', 1000000) FROM numbers(60000) FORMAT Native
SELECT repeat('x', 1000) FROM numbers(900000)
SELECT repeat('x', 10000) FROM numbers(900000) FORMAT JSON
SELECT repeat('x', 10000) FROM numbers(900000) FORMAT Parquet
SELECT repeat(repeat('x', 1000000), 1000000)
SELECT space(1000000000)
SELECT replaceAll(repeat('a', 1000000), 'a', repeat('b', 100000))
SELECT arrayStringConcat(arrayMap(x -> repeat('x', 1000000), range(100000)))
SELECT range(1000000000)
SELECT range(400000000)
SELECT arrayWithConstant(1000000000, 'x')
SELECT arrayMap(x -> arrayMap(y -> arrayMap(z -> x + y + z, range(1000)), range(1000)), range(1000))
SELECT arrayExists(x -> sipHash64(x) = 1, range(300000000))
SELECT arrayJoin(range(100000000)), arrayJoin(range(100000001))
SELECT groupArray(number) FROM numbers(1e11)
SELECT groupArray(repeat('x', 10000)) FROM numbers(1e9)
SELECT uniqExact(number) FROM numbers(1e12)
SELECT groupBitmap(number * 65537) FROM numbers(1e12)
SELECT quantileExact(number) FROM numbers(1e11)
SELECT sipHash64(number) AS k, count() FROM numbers(1e11) GROUP BY k
SELECT number FROM numbers(1e11) ORDER BY sipHash64(number)
SELECT DISTINCT number FROM numbers(1e11)
SELECT row_number() OVER (ORDER BY number) FROM numbers(1e11)
SELECT 1 IN (SELECT number FROM numbers(1e11))
SELECT (SELECT count() FROM numbers(1e15) WHERE sipHash64(number) = 1)
DESCRIBE (SELECT (SELECT count() FROM numbers(1e15) WHERE sipHash64(number) = 1))
SELECT 1 LIMIT (SELECT count() FROM numbers(1e15) WHERE sipHash64(number) = 1)
SELECT 1 ORDER BY 1 WITH FILL FROM 1 TO 1000000000000
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT sum(n) FROM t
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT arrayJoin([n, n]) FROM t) SELECT count() FROM t
WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT concat(s, s) FROM t) SELECT max(length(s)) FROM t
SELECT editDistance(repeat('a', 60000), repeat('b', 60000))
SELECT arrayLevenshteinDistance(range(100000), range(100001))
SELECT hasSubstr(range(1000000), range(1000000))
SELECT multiFuzzyMatchAny(repeat('a', 100000), 8, ['(a|b|c){1,200}d'])
SELECT {deep}
SELECT {long}
SELECT {nots}
SELECT {arrays}
SELECT {subqueries}
