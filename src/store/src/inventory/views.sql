-- The present inventory for people and their tools. Read-only; columns are added at the end, never taken away.
-- A time that is not known is null; the column beside it says why: never, not_reported, not_permitted, not_collected.
CREATE OR REPLACE VIEW provost_scopes AS
SELECT (shown->>'number')::bigint AS number,
    shown->>'source' AS source,
    shown->>'scope' AS scope,
    (shown->>'watched')::boolean AS watched,
    (shown->>'covered_at')::timestamptz AS covered_at,
    (shown->>'full_at')::timestamptz AS full_at,
    shown->>'last_cover' AS last_cover
FROM store_rows WHERE tbl = (SELECT id FROM store_tables WHERE name = 'scopes') AND shown IS NOT NULL;

CREATE OR REPLACE VIEW provost_records AS
SELECT (r.shown->>'id')::uuid AS id,
    r.shown->>'kind' AS kind,
    r.shown->>'noun' AS noun,
    (SELECT array_agg(DISTINCT s.source ORDER BY s.source) FROM jsonb_array_elements(r.shown->'statements') AS said
        JOIN provost_scopes s ON s.number = (said->>'scope')::bigint) AS source,
    r.shown->>'external_id' AS external_id,
    r.shown->>'name' AS name,
    r.shown->>'realm' AS realm,
    (SELECT encode(substring(k.value FROM length(k.value) - 15), 'hex')::uuid FROM store_rows k
        WHERE k.tbl = (SELECT id FROM store_tables WHERE name = 'keys')
            AND k.key = decode(r.shown->>'identity', 'hex')) AS identity,
    (SELECT encode(substring(k.value FROM length(k.value) - 15), 'hex')::uuid FROM store_rows k
        WHERE k.tbl = (SELECT id FROM store_tables WHERE name = 'keys')
            AND k.key = decode(r.shown->>'container', 'hex')) AS container,
    (r.shown->'created_at'->>'value')::timestamptz AS created_at,
    r.shown->'created_at'->>'reading' AS created_at_reading,
    (r.shown->'rotated_at'->>'value')::timestamptz AS rotated_at,
    r.shown->'rotated_at'->>'reading' AS rotated_at_reading,
    (r.shown->'last_used_at'->>'value')::timestamptz AS last_used_at,
    r.shown->'last_used_at'->>'reading' AS last_used_at_reading,
    (r.shown->'expires_at'->>'value')::timestamptz AS expires_at,
    r.shown->'expires_at'->>'reading' AS expires_at_reading,
    CASE WHEN coalesce(r.shown->>'status', 'unknown') IN ('active', 'unknown')
            AND (r.shown->'expires_at'->>'value')::timestamptz <= now() THEN 'expired'
        ELSE coalesce(r.shown->>'status', 'unknown') END AS status,
    r.shown->>'presence' AS presence,
    (r.shown->>'first_seen')::timestamptz AS first_seen,
    (SELECT max(CASE WHEN (said->>'seen')::boolean THEN greatest(s.covered_at, (said->>'recorded')::timestamptz)
            ELSE (said->>'recorded')::timestamptz END)
        FROM jsonb_array_elements(r.shown->'statements') AS said
        LEFT JOIN provost_scopes s ON s.number = (said->>'scope')::bigint) AS last_seen,
    r.shown->'attributes' AS attributes
FROM store_rows r WHERE r.tbl = (SELECT id FROM store_tables WHERE name = 'records') AND r.shown IS NOT NULL;

CREATE OR REPLACE VIEW provost_identities AS SELECT * FROM provost_records WHERE noun IN ('identity', 'application');
CREATE OR REPLACE VIEW provost_credentials AS SELECT * FROM provost_records WHERE noun IN ('credential', 'secret');
CREATE OR REPLACE VIEW provost_grants AS SELECT * FROM provost_records WHERE noun = 'grant';
CREATE OR REPLACE VIEW provost_people AS SELECT * FROM provost_records WHERE noun = 'person';

CREATE OR REPLACE VIEW provost_findings AS
SELECT (f->>'id')::uuid AS id,
    f->>'rule' AS rule,
    (f->>'subject')::uuid AS subject,
    f->>'external_id' AS external_id,
    f->>'source' AS source,
    f->>'state' AS state,
    f->>'severity' AS severity,
    (f->>'opened_at')::timestamptz AS opened_at,
    (f->>'opened_as_of')::timestamptz AS opened_as_of,
    (f->>'resolved_at')::timestamptz AS resolved_at,
    f->>'resolution' AS resolution,
    (f->>'unconfirmed_since')::timestamptz AS unconfirmed_since,
    (f->>'baseline')::boolean AS baseline,
    f->>'because' AS because,
    (f->>'until')::timestamptz AS until
FROM store_rows r CROSS JOIN LATERAL jsonb_array_elements(r.shown) AS f
WHERE r.tbl = (SELECT id FROM store_tables WHERE name = 'findings_of') AND r.shown IS NOT NULL;

CREATE OR REPLACE VIEW provost_sources AS
SELECT shown->>'name' AS name,
    shown->>'realm' AS realm,
    (shown->>'first_complete')::timestamptz AS first_complete,
    (shown->>'last_complete')::timestamptz AS last_complete,
    (shown->>'last_run')::uuid AS last_run,
    shown->>'baseline' AS baseline,
    (shown->>'next_run')::timestamptz AS next_run,
    shown->>'retired' AS retired,
    (shown->>'credential_expires')::timestamptz AS credential_expires
FROM store_rows WHERE tbl = (SELECT id FROM store_tables WHERE name = 'sources') AND shown IS NOT NULL;

CREATE OR REPLACE VIEW provost_runs AS
SELECT (shown->>'id')::uuid AS id,
    shown->>'source' AS source,
    shown->>'realm' AS realm,
    (shown->>'started')::timestamptz AS started,
    (shown->>'ended')::timestamptz AS ended,
    shown->>'outcome' AS outcome,
    (shown->>'seen')::bigint AS seen,
    (shown->>'appeared')::bigint AS appeared,
    (shown->>'changed')::bigint AS changed,
    (shown->>'gone')::bigint AS gone,
    (shown->>'calls')::bigint AS calls,
    shown->'troubles' AS troubles
FROM store_rows WHERE tbl = (SELECT id FROM store_tables WHERE name = 'runs') AND shown IS NOT NULL;
