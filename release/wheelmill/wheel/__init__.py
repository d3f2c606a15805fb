"""Wheels as files: the one reader and the one writer of them. Nothing is judged here.

```
name.py       what a file name says
archive.py    the zip container, held to say one thing to every reader
metadata.py   the texts of the .dist-info: METADATA, WHEEL, RECORD, entry_points.txt
installed.py  where a file of the archive lies once it is installed
elf.py        native files
facts.py      all of it, read once
wheelfile.py  writing and retagging; compare.py compares two wheels member by member
```

Whatever a file holds, reading it raises WheelError or nothing, in time and memory that follow the size of the
file and not what the file says of itself.
"""
