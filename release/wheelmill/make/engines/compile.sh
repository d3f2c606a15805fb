#!/bin/sh
# Runs one compiler command such that its output depends on nothing but the sources and the recipe:
#
#   compile.sh ROOT CCACHE KIND COMPILER WORD...
#
# CCACHE is a program, or - to compile without a cache; KIND is gcc, or - for another compiler.
#
# Every compiler of a build is started by this, whichever engine runs it and whether there is a cache or not. A
# compiler writes the paths that it is given into what it makes (__FILE__, debug information). So all paths below
# ROOT are given relative to the folder that it runs in: the same words wherever ROOT lies. That is also how a
# cache knows a file again that was compiled in another folder; it is never told to rewrite paths itself, because
# then the compiler would see other ones than without it.
set -eu
root=$1 cache=$2 kind=$3 compiler=$4
shift 4

# From the folder of the build up to ROOT: a/b is ../../
below=${PWD#"$root"/} up=
if [ "$below" = "$PWD" ]; then
  echo "compile.sh: $PWD is not below $root" >&2
  exit 2
fi
while [ -n "$below" ]; do
  up=../$up
  case $below in */*) below=${below#*/} ;; *) below= ;; esac
done

# Sets `word` to the word with ROOT as "up", where a path begins with it.
relative() {
  word=
  rest=$1
  while :; do
    case $rest in
      *"$root"/*) before=${rest%%"$root"/*} rest=${rest#*"$root"/} ;;
      *) break ;;
    esac
    case $word$before in
      '' | *[=\"\',:]) word=$word$before$up ;;  # the word itself, or a value in it
      -*[!A-Za-z-]*) word=$word$before$root/ ;; # in the midst of another path
      -*) word=$word$before$up ;;               # -I/root/...
      *) word=$word$before$root/ ;;
    esac
  done
  word=$word$rest
}

maps= seed= last=
count=$#
while [ "$count" -gt 0 ]; do
  relative "$1"
  case $1 in
    # The project's own names for folders: also for files that are named in full in generated sources.
    -f*-prefix-map=*)
      maps="$maps $word"
      [ "$word" = "$1" ] || set -- "$@" "$1"
      ;;
  esac
  [ "$last" != -o ] || seed=$word
  last=$1
  set -- "$@" "$word"
  shift
  count=$((count - 1))
done

# What generated sources name in full; names that GCC else draws by lot; the time of a source file, which a checkout
# and a copy give it anew. GCC also calls a system header that lies behind a link by the shorter of its names.
set -- "-frandom-seed=$seed" -Wno-builtin-macro-redefined '-D__TIMESTAMP__="Tue Jan  1 00:00:00 1980"' "$@"
[ "$kind" != gcc ] || set -- -fno-canonical-system-headers "$@"
set -- "-ffile-prefix-map=$root/=$up" "$@"
[ "$cache" != - ] || exec "$compiler" "$@"

# ccache takes files of the same words and contents for the same, except for the values of prefix maps: those and the
# compiler's identity are given to it as part of what the compiler is.
CCACHE_COMPILERCHECK="${CCACHE_COMPILERCHECK:-string:} $(stat -L -c %s.%Y "$compiler")$maps"
export CCACHE_COMPILERCHECK
exec "$cache" "$compiler" "$@"
