# For the demos. expect CODE COMMAND ...: runs a command where all can see it, and insists on its
# exit code.
expect() {
  local wanted=$1 code=0
  shift
  printf '\n$ %s\n' "$*"
  "$@" || code=$?
  if [[ $code -ne $wanted ]]; then
    echo "demo: exit code $code, not $wanted" >&2
    exit 1
  fi
}
