#!/bin/sh
# First start of the database: the owner for migrations, and the app's role, which row-level security binds.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres \
  -v owner_password="$PIGGY_OWNER_PASSWORD" -v app_password="$PIGGY_APP_PASSWORD" <<'SQL'
CREATE ROLE piggy_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE CREATEDB PASSWORD :'owner_password';
CREATE ROLE piggy_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'app_password';
CREATE DATABASE piggy OWNER piggy_owner;
SQL
