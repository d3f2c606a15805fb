#!/bin/sh
# second_python.sh ROOT SUITE X.Y MULTIARCH: make the Python of SUITE, unpacked in ROOT/opt/SUITE, run in ROOT.
#
# A base must be old, so that wheels built on it run everywhere; its Python then is too old for wheelmill. The later
# suite's Python is started with that suite's own dynamic loader and C library, which no other program notices; the
# compilers and their C library stay the old ones. It is found where manylinux images have theirs.
set -eu
root=$1 suite=$2 version=$3 multiarch=$4
home=/opt/$suite
tag=cp$(echo "$version" | tr -d .)

programs=$root$home/usr/bin
mv "$programs/python$version" "$programs/python$version.real"
cat >"$programs/python$version" <<WRAPPER
#!/bin/sh
for loader in $home/lib/$multiarch/ld-linux*; do
  exec "\$loader" --library-path $home/lib/$multiarch:$home/usr/lib/$multiarch --argv0 "\$0" \\
    $home/usr/bin/python$version.real "\$@"
done
WRAPPER
chmod 755 "$programs/python$version"
ln -sf "python$version" "$programs/python3"
ln -sf python3 "$programs/python"

# Where its ensurepip finds pip: not among the wheels that the root's own Python brings.
sed -i "s,/usr/share/python-wheels,$home&," "$root$home/usr/lib/python$version"/_sysconfigdata__"$multiarch".py

mkdir -p "$root/opt/python"
ln -s "$home/usr" "$root/opt/python/$tag-$tag"
