# Makes the programs of this shell run on the CANN simulator: source it, as one sources CANN's own set_env.sh.
# For bash, zsh and POSIX shells. Refused when another CANN was sourced already.

_cann_simulator_home() {
  if [ -n "${BASH_VERSION:-}" ]; then
    eval '_cann_simulator_script="${BASH_SOURCE[0]}"'
  elif [ -n "${ZSH_VERSION:-}" ]; then
    eval '_cann_simulator_script="${(%):-%x}"'
  else
    # A plain shell does not say what it sources, but it holds the file open.
    _cann_simulator_script=""
    for _cann_simulator_open in "/proc/$$/fd/"*; do
      _cann_simulator_open="$(readlink "$_cann_simulator_open")" || continue
      case "$_cann_simulator_open" in
        */cann_simulator/set_env.sh) _cann_simulator_script="$_cann_simulator_open" ;;
      esac
    done
  fi
  [ -n "$_cann_simulator_script" ] && (CDPATH='' cd -- "$(dirname -- "$_cann_simulator_script")" && pwd -P)
}

_cann_simulator_refuse() {
  echo "set_env.sh: another CANN is in this environment: $1; the simulator is $2." \
    "Use a shell in which no set_env.sh was sourced." >&2
  return 1
}

# Prints the search path without the simulator's own directory; fails when another CANN is on it.
_cann_simulator_other_path() {
  _cann_simulator_rest="${LD_LIBRARY_PATH:-}"
  _cann_simulator_kept=""
  while [ -n "$_cann_simulator_rest" ]; do
    _cann_simulator_entry="${_cann_simulator_rest%%:*}"
    case "$_cann_simulator_rest" in
      *:*) _cann_simulator_rest="${_cann_simulator_rest#*:}" ;;
      *) _cann_simulator_rest="" ;;
    esac
    if [ -z "$_cann_simulator_entry" ] || [ "$_cann_simulator_entry" = "$1/lib" ]; then
      continue
    elif [ -e "$_cann_simulator_entry/libascendcl.so" ]; then
      _cann_simulator_refuse "LD_LIBRARY_PATH has $_cann_simulator_entry" "$1"
      return 1
    fi
    _cann_simulator_kept="$_cann_simulator_kept:$_cann_simulator_entry"
  done
  printf '%s' "$_cann_simulator_kept"
}

_cann_simulator_set() {
  _cann_simulator_dir="$(_cann_simulator_home)"
  if [ -z "$_cann_simulator_dir" ]; then
    echo "set_env.sh: this shell does not say where the file lies; use: eval \"\$(cann-simulator env)\"" >&2
    return 1
  fi
  for _cann_simulator_name in ASCEND_HOME_PATH ASCEND_TOOLKIT_HOME; do
    eval "_cann_simulator_value=\"\${$_cann_simulator_name:-}\""
    if [ -n "$_cann_simulator_value" ] && [ "$_cann_simulator_value" != "$_cann_simulator_dir" ]; then
      _cann_simulator_refuse "$_cann_simulator_name=$_cann_simulator_value" "$_cann_simulator_dir"
      return 1
    fi
  done
  if [ ! -e "$_cann_simulator_dir/lib/libascendcl.so" ]; then
    echo "set_env.sh: $_cann_simulator_dir/lib has no libascendcl.so; install the simulator's wheel" >&2
    return 1
  fi
  _cann_simulator_others="$(_cann_simulator_other_path "$_cann_simulator_dir")" || return 1
  export ASCEND_HOME_PATH="$_cann_simulator_dir"
  export ASCEND_TOOLKIT_HOME="$_cann_simulator_dir"
  export ASCEND_OPP_PATH="$_cann_simulator_dir/opp"
  export LD_LIBRARY_PATH="$_cann_simulator_dir/lib$_cann_simulator_others"
  case ":$PATH:" in
    *":$_cann_simulator_dir/tools/profiler/bin:"*) ;;
    *) export PATH="$_cann_simulator_dir/tools/profiler/bin:$PATH" ;;
  esac
}

# Leaves nothing of this file behind in the shell, itself included.
_cann_simulator_clean() {
  unset -f _cann_simulator_home _cann_simulator_refuse _cann_simulator_other_path _cann_simulator_set \
    _cann_simulator_clean
  unset _cann_simulator_dir _cann_simulator_name _cann_simulator_value _cann_simulator_others
}

if _cann_simulator_set; then
  _cann_simulator_clean
else
  _cann_simulator_clean
  false
fi
