# Runs the tests so that neither a test that hangs nor a process that one left behind keeps the caller waiting for ever.

# watched SECONDS COMMAND…: runs it in a session of its own and passes on what it prints, and its exit status. When time
# is up it says what was still running, and ends it.
watched() {
  local limit=$1 log status=0 tests follower
  shift
  log=$(mktemp)
  # A file and no pipe: a child that outlives its test would keep a pipe open.
  setsid "$@" >"$log" 2>&1 &
  tests=$!
  trap 'kill -KILL -- "-$tests" 2>/dev/null; rm -f "$log"' EXIT
  trap 'exit 130' INT TERM
  tail --lines=+1 --follow --sleep-interval=0.2 --pid="$tests" "$log" &
  follower=$!
  if ! ends_within "$limit" "$tests"; then
    stacks "$tests"
    printf 'test: error: the tests did not end within %s s; still running:\n' "$limit" >&2
    unfinished "$log" >&2
    return 124
  fi
  wait "$tests" || status=$?
  wait "$follower"
  return "$status"
}

ends_within() {
  local end=$((SECONDS + $1))
  while kill -0 "$2" 2>/dev/null; do
    ((SECONDS < end)) || return 1
    sleep 1
  done
}

# What the threads of the processes of that session wait for.
stacks() {
  local process
  for process in $(pgrep --session "$1"); do
    printf '%s: %s\n' "$process" "$(tr '\0' ' ' <"/proc/$process/cmdline" | head -c 300)"
    if [[ $(<"/proc/$process/comm") == swiftpm-testing* ]] && command -v gdb >/dev/null; then
      timeout 120 gdb --batch -p "$process" -ex 'thread apply all bt 25' 2>/dev/null || true
    fi
  done
}

# The tests in a log that started and did not end.
unfinished() {
  comm -23 \
    <(sed -n 's/^◇ \(Test .*\) started\.$/\1/p' "$1" | sort) \
    <(sed -nE 's/^[^ ] (Test .*) (passed|failed|skipped).*/\1/p' "$1" | sed -E 's/ with [0-9]+ test cases?$//' | sort)
}
