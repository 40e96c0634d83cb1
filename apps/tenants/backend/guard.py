"""The SQL of the second wall: the signed context, the policies on every table, the rights of the app's role.

All of it can be run again at any time, by the owner. A policy names its schema, so a cloned schema is protected anew.
"""

from __future__ import annotations

GUARD = """
CREATE SCHEMA IF NOT EXISTS guard;
REVOKE ALL ON SCHEMA guard FROM PUBLIC;
GRANT USAGE ON SCHEMA guard TO {app};

CREATE TABLE IF NOT EXISTS guard.context_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    ipad bytea NOT NULL,
    opad bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS guard.setup (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint text NOT NULL
);
-- Secrets and signed heads are made of a broker's name, so nobody else is ever called as one that was removed.
CREATE TABLE IF NOT EXISTS guard.removed_broker (
    schema_name text PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON ALL TABLES IN SCHEMA guard FROM PUBLIC, {app};

-- HMAC-SHA256 from the core sha256(), because pgcrypto is not on every server. PARALLEL RESTRICTED: a parallel worker
-- has another process id than the one that was signed. Every statement on a tenant's table asks it once, so it is plain
-- SQL, whose plan is kept (from PostgreSQL 18): half the cost of the same in PL/pgSQL.
CREATE OR REPLACE FUNCTION guard.tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
SELECT parts[1]
  FROM guard.context_key AS k, (SELECT string_to_array(current_setting('piggy.tenant', true), '|')) AS context (parts)
 WHERE cardinality(parts) = 3
   AND parts[3] = encode(sha256(k.opad || sha256(k.ipad || convert_to(
         parts[1] || '|' || parts[2] || '|' || pg_backend_pid()::text, 'UTF8'))), 'hex')
   AND CASE WHEN parts[2] ~ '^[0-9]{{1,12}}$' THEN parts[2]::bigint > extract(epoch FROM clock_timestamp()) END
$body$;

CREATE OR REPLACE FUNCTION guard.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END
$body$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA guard FROM PUBLIC;
GRANT EXECUTE ON FUNCTION guard.tenant() TO {app};
"""

SET_KEY = """
INSERT INTO guard.context_key (ipad, opad) VALUES (%(ipad)s, %(opad)s)
ON CONFLICT (only_row) DO UPDATE SET ipad = excluded.ipad, opad = excluded.opad
"""

# Only what differs is altered, so running it over a protected schema takes no lock.
PROTECT = """
DO $do$
DECLARE
    item record;
    wanted constant text := format('(( SELECT guard.tenant() AS tenant) = %L::text)', {schema_text});
BEGIN
    FOR item IN
        SELECT c.oid, c.relname, c.relrowsecurity AND c.relforcerowsecurity AS is_forced,
               (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
               EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_only'
                       AND p.polcmd = '*' AND p.polpermissive AND p.polroles = ARRAY[0::oid]
                       AND pg_get_expr(p.polqual, c.oid) = wanted
                       AND pg_get_expr(p.polwithcheck, c.oid) = wanted) AS is_right
        FROM pg_class c WHERE c.relnamespace = {schema_text}::regnamespace AND c.relkind IN ('r', 'p')
    LOOP
        IF NOT item.is_forced THEN
            EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', {schema_text}, item.relname);
            EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', {schema_text}, item.relname);
        END IF;
        CONTINUE WHEN item.is_right AND item.policies = 1;
        PERFORM guard.drop_policies(item.oid);
        EXECUTE format(
            'CREATE POLICY tenant_only ON %I.%I FOR ALL USING ((SELECT guard.tenant()) = %L) '
            'WITH CHECK ((SELECT guard.tenant()) = %L)',
            {schema_text}, item.relname, {schema_text}, {schema_text});
    END LOOP;
END
$do$;
"""

DROP_POLICIES = """
CREATE OR REPLACE FUNCTION guard.drop_policies(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    policy record;
BEGIN
    FOR policy IN SELECT polname FROM pg_policy WHERE polrelid = relation LOOP
        EXECUTE format('DROP POLICY %I ON %s', policy.polname, relation::regclass);
    END LOOP;
END
$body$;
REVOKE ALL ON FUNCTION guard.drop_policies(oid) FROM PUBLIC;
"""

# A table with guard.refuse_change() on it is append-only: the trigger fires always, also under replication roles, and
# the app's role may only read and append. A clone forgets ALWAYS.
GRANT = """
GRANT USAGE ON SCHEMA {schema} TO {app};
REVOKE CREATE ON SCHEMA {schema} FROM {app};
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC;
REVOKE TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA {schema} FROM {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {app};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {app};
REVOKE ALL ON {schema}.django_migrations FROM {app};
GRANT SELECT ON {schema}.django_migrations TO {app};
DO $do$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT t.tgname, t.tgenabled, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = {schema_text}::regnamespace AND NOT t.tgisinternal
          AND t.tgfoid = 'guard.refuse_change()'::regprocedure
    LOOP
        IF item.tgenabled <> 'A' THEN
            EXECUTE format('ALTER TABLE %I.%I ENABLE ALWAYS TRIGGER %I', {schema_text}, item.relname, item.tgname);
        END IF;
        EXECUTE format('REVOKE UPDATE, DELETE ON %I.%I FROM {app}', {schema_text}, item.relname);
    END LOOP;
END
$do$;
"""

# Shared tables hold no client's data: the app reads which brokers there are and holds the engine's lease.
# What lies there of another owner, as functions and views of an extension, is not ours to give or take.
GRANT_SHARED = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC, {app};
GRANT USAGE ON SCHEMA public TO {app};
DO $do$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
              AND pg_has_role(relowner, 'USAGE')
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, {app}', item.name);
        EXECUTE format('GRANT SELECT ON TABLE %s TO {app}', item.name);
    END LOOP;
    FOR item IN
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prokind <> 'p' AND pg_has_role(proowner, 'USAGE')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, {app}', item.name);
    END LOOP;
END
$do$;
GRANT INSERT, UPDATE ON public.engine_lease TO {app};
"""

# clone_schema leaves out triggers whose function lives in a third schema, and forgets when a trigger fires ALWAYS.
COPY_TRIGGERS = """
DO $do$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT t.tgname, t.tgenabled, c.relname, pg_get_triggerdef(t.oid) AS definition, there.tgenabled AS is_there
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        LEFT JOIN (SELECT t2.tgname, t2.tgenabled, c2.relname FROM pg_trigger t2 JOIN pg_class c2 ON c2.oid = t2.tgrelid
                   WHERE c2.relnamespace = {schema_text}::regnamespace AND NOT t2.tgisinternal) there
               ON there.tgname = t.tgname AND there.relname = c.relname
        WHERE c.relnamespace = {source_text}::regnamespace AND NOT t.tgisinternal
    LOOP
        IF item.is_there IS NULL THEN
            EXECUTE replace(item.definition,
                            format(' ON %I.%I ', {source_text}, item.relname),
                            format(' ON %I.%I ', {schema_text}, item.relname));
        END IF;
        IF item.tgenabled = 'A' AND item.is_there IS DISTINCT FROM 'A' THEN
            EXECUTE format('ALTER TABLE %I.%I ENABLE ALWAYS TRIGGER %I', {schema_text}, item.relname, item.tgname);
        END IF;
    END LOOP;
END
$do$;
"""

# What a schema is made of, without its name: two schemas of one shape give the same rows.
SHAPE = """
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text || a.attidentity::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', r.relname, count(*)::text, k.contype::text, '' FROM pg_constraint k
JOIN pg_class r ON r.oid = k.conrelid WHERE r.relnamespace = %(schema)s::regnamespace GROUP BY r.relname, k.contype
UNION ALL
SELECT 'index', tablename, count(*)::text, '', '' FROM pg_indexes WHERE schemaname = %(schema)s GROUP BY tablename
UNION ALL
SELECT 'trigger', c.relname, t.tgname, t.tgenabled::text, '' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
"""
