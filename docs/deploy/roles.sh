#!/bin/sh
# Runs once, in a new database: extensions, and the role of the program, which row-level security binds.
set -eu
psql -v ON_ERROR_STOP=1 -v app_password="$PATCHCORD_APP_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE ROLE patchcord_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'app_password';
CREATE ROLE patchcord_system NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
REVOKE ALL ON DATABASE patchcord FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE patchcord TO patchcord_app;
GRANT USAGE ON SCHEMA public TO patchcord_app;
SQL
