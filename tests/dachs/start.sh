#!/bin/bash
# Start DaCHS, a VO server, with PostgreSQL, on loopback. Run as an unprivileged user:
#
#   SRC=FOLDER bash start.sh STATE-FOLDER [PORT] [POSTGRESQL-PORT]
#
# FOLDER holds q.rd and its data; `python -m tests.dachs` makes one, and starts and stops all.
#
# NAME is the folder, and the schema, that q.rd is imported to (tst); MAXREC the most rows that the
# server sends (DaCHS's own limit).
#
# It needs what install.sh installs, and takes about ten seconds. To stop: TERM to the process in
# STATE-FOLDER/dachs.pid, then INT to the first line of STATE-FOLDER/pg/postmaster.pid.
set -e
STATE=${1:?folder}; PORT=${2:-8080}; PGPORT=${3:-55432}
BIN=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
mkdir -p "$STATE/sock" "$STATE/root"
"$BIN/initdb" -D "$STATE/pg" -A trust -E UTF8 --locale=C.UTF-8 -N > "$STATE/initdb.log"
"$BIN/pg_ctl" -D "$STATE/pg" -w -l "$STATE/pg.log" -o \
    "-c listen_addresses=127.0.0.1 -p $PGPORT -k $STATE/sock -c fsync=off" start > /dev/null
"$BIN/createdb" -h 127.0.0.1 -p "$PGPORT" --encoding=UTF-8 --template=template0 gavo
# pgsphere 1.2.0 does not install in PostgreSQL releases since 2026 (15.20 and others), which
# check that operators name each other as commutators and negators: these hints to the
# query planner are left out then.
PSQL=("$BIN/psql" -q -h 127.0.0.1 -p "$PGPORT" -v ON_ERROR_STOP=1 gavo)
if ! "${PSQL[@]}" -c 'CREATE EXTENSION pg_sphere' 2> "$STATE/pgsphere.log"; then
    SHARE=/usr/share/postgresql/$(basename "$(dirname "$BIN")")
    VERSION=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$SHARE/extension/pg_sphere.control")
    sed -E -e '/^\\echo/d' -e '/^ *(COMMUTATOR|NEGATOR) *=/d' -e 's|MODULE_PATHNAME|$libdir/pg_sphere|' \
        "$SHARE/extension/pg_sphere--$VERSION.sql" | "${PSQL[@]}" 2>> "$STATE/pgsphere.log"
    "${PSQL[@]}" -c "INSERT INTO pg_extension
        SELECT coalesce(max(oid::int8), 0)::int8 + 100000, 'pg_sphere', 10,
            (SELECT oid FROM pg_namespace WHERE nspname = 'public'), true, '$VERSION'
        FROM pg_extension"
fi
cat > "$STATE/gavo.rc" <<RC
[general]
rootDir: $STATE/root
group: $(id -gn)
[web]
user: $(id -un)
serverURL: http://127.0.0.1:$PORT
bindAddress: 127.0.0.1
serverPort: $PORT
[ivoa]
authority: test.local
RC
if [ -n "$MAXREC" ]; then
    printf 'dalHardLimit: %s\n[async]\ndefaultMAXREC: %s\nhardMAXREC: %s\n' \
        "$MAXREC" "$MAXREC" "$MAXREC" >> "$STATE/gavo.rc"
fi
export GAVOSETTINGS=$STATE/gavo.rc HOME=$STATE LC_ALL=C.UTF-8
dachs init -d "host=127.0.0.1 port=$PGPORT dbname=gavo"
# DaCHS would fetch this vocabulary, and there may be no network.
echo '{"uri":"http://www.ivoa.net/rdf/uat","terms":{"surveys":{"label":"Surveys"}}}' \
    > "$STATE/root/cache/http:=2F=2Fwww.ivoa.net=2Frdf=2Fuat"
cp -r "${SRC:?}" "$STATE/root/inputs/${NAME:=tst}"
# ObsCore must be there before the first data that is published in it.
dachs imp //obscore > "$STATE/imp.log"
cd "$STATE/root/inputs/$NAME"
dachs imp q >> "$STATE/imp.log"
dachs pub q
dachs --disable-spew serve start -f > "$STATE/serve.log" 2>&1 &
echo $! > "$STATE/dachs.pid"
for _ in $(seq 300); do
    python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$PORT/tap/availability')" \
        2> /dev/null && exit 0
    sleep 0.1
done
echo "DaCHS did not start, see $STATE/serve.log" >&2
exit 1
