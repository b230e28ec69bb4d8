#!/bin/bash
# Starts PostgreSQL and DaCHS on loopback, with all state in one folder; not as root, which
# PostgreSQL refuses.
#   start.sh FOLDER PORT DATABASE_PORT
# FOLDER/source holds q.rd and data/tractor.csv.
set -e
iso=$1 port=$2 dbport=$3
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
mkdir -p "$iso/sock" "$iso/root"
"$bin/initdb" -D "$iso/pg" -A trust -E UTF8 --locale=C.UTF-8 -N >"$iso/initdb.log"
"$bin/pg_ctl" -D "$iso/pg" -w -l "$iso/pg.log" \
    -o "-c listen_addresses=127.0.0.1 -p $dbport -k $iso/sock -c fsync=off" start >/dev/null
"$bin/createdb" -h 127.0.0.1 -p "$dbport" --encoding=UTF-8 --template=template0 gavo
psql=("$bin/psql" -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$dbport" gavo)
if ! "${psql[@]}" -c 'CREATE EXTENSION pg_sphere' 2>"$iso/pgsphere.log"; then
    # Later minor releases of PostgreSQL refuse the commutators and negators that pgSphere 1.2.0
    # declares. They only help the planner: it is loaded without them, and entered by hand.
    script=$(ls /usr/share/postgresql/*/extension/pg_sphere--1.2.0.sql | tail -1)
    sed -e '/^\\echo/d' -e 's,MODULE_PATHNAME,$libdir/pg_sphere,' -e '/\(COMMUTATOR\|NEGATOR\) *=.*, *$/d' \
        "$script" >"$iso/pgsphere.sql"
    "${psql[@]}" -c 'SET client_min_messages = error' -f "$iso/pgsphere.sql" >"$iso/pgsphere.log" 2>&1
    "${psql[@]}" -c "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, \
extrelocatable, extversion) SELECT 65000, 'pg_sphere', 10, oid, true, '1.2.0' FROM pg_namespace \
WHERE nspname = 'public'"
fi
cat >"$iso/gavo.rc" <<RC
[general]
rootDir: $iso/root
group: $(id -gn)
[web]
user: $(id -un)
serverURL: http://127.0.0.1:$port
bindAddress: 127.0.0.1
serverPort: $port
[ivoa]
authority: test.local
dalHardLimit: 120
[async]
defaultMAXREC: 120
hardMAXREC: 120
RC
export GAVOSETTINGS=$iso/gavo.rc HOME=$iso LC_ALL=C.UTF-8 PATH=/usr/bin:/bin
unset PYTHONPATH VIRTUAL_ENV
dachs init -d "host=127.0.0.1 port=$dbport dbname=gavo" >"$iso/init.log" 2>&1
cp -r "$iso/source" "$iso/root/inputs/ls_dr9"
cd "$iso/root/inputs/ls_dr9"
dachs imp q >"$iso/imp.log" 2>&1
dachs --disable-spew serve start -f >"$iso/serve.log" 2>&1 &
echo $! >"$iso/dachs.pid"
for _ in $(seq 200); do
    if curl -fso /dev/null "http://127.0.0.1:$port/tap/availability"; then exit 0; fi
    sleep 0.1
done
echo "DaCHS does not answer; see $iso/serve.log" >&2
exit 1
