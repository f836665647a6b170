# Runs the tests so that neither a hanging test nor a process that a test left behind keeps the
# caller waiting forever.

# watched SECONDS COMMAND…: runs the command in a session of its own and passes on its output and
# exit status. If time runs out, it prints the tests that still run, ends them, and returns 124.
watched() {
  local limit=$1 status=0 follower
  shift
  log=$(mktemp)
  # A file and no pipe: if a child outlives its test, it would keep a pipe open.
  setsid "$@" >"$log" 2>&1 &
  session=$!
  trap end_session EXIT
  trap 'exit 130' INT TERM
  tail --lines=+1 --follow --sleep-interval=0.2 --pid="$session" "$log" &
  follower=$!
  if ! ends_within "$limit"; then
    stacks
    printf 'test: error: the tests did not end within %s s; still running:\n' "$limit" >&2
    unfinished >&2
    return 124
  fi
  wait "$session" || status=$?
  wait "$follower"
  ((status == 0)) || failures "$status" >&2
  return "$status"
}

# failures STATUS: repeats the failures at the end, because they are hard to find among a thousand
# tests.
failures() {
  printf 'test: error: the tests ended with %s:\n' "$1"
  # Each issue has its values and comments in the lines below it.
  grep -E '^(✘|↳)' "$log" | tail --lines=100 || tail --lines=20 "$log"
}

ends_within() {
  local end=$((SECONDS + $1))
  while kill -0 "$session" 2>/dev/null; do
    ((SECONDS < end)) || return 1
    sleep 1
  done
}

end_session() {
  pkill -KILL --session "$session" || true
  rm -f "$log"
}

# Prints the stacks of the tests' threads, to show their waits.
stacks() {
  local process
  for process in $(pgrep --session "$session"); do
    printf '%s: %s\n' "$process" "$(tr '\0' ' ' <"/proc/$process/cmdline" | head -c 300)"
    if [[ $(tr '\0' ' ' <"/proc/$process/cmdline") == *.xctest* ]] && command -v gdb >/dev/null; then
      timeout 120 gdb --batch -p "$process" -ex 'thread apply all bt 25' 2>/dev/null || true
    fi
  done
}

# The tests in the log that started and did not end.
unfinished() {
  comm -23 \
    <(sed -n 's/^◇ \(Test .*\) started\.$/\1/p' "$log" | sort) \
    <(sed -nE 's/^[^ ] (Test .*) (passed|failed|skipped).*/\1/p' "$log" | sed -E 's/ with [0-9]+ test cases?$//' | sort)
}
