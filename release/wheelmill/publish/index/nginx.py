"""nginx's configuration for an index in production: pure text, the same answers as `wheelmill serve` gives.

The form of a page is chosen from the Accept header by a `map`. nginx cannot compare qualities: what is
accepted with quality 1 comes first, JSON before HTML, and then what is accepted at all, JSON first again.
That is what every installer asks for; a browser and an old pip name no versioned type and get HTML.

What lies under `files/` is named by its hash and never changes: it may be cached for ever. Pages change with
each publish: a cache has to ask again, which costs it a 304. The index is a symbolic link that is switched:
nginx follows it on each request, so a publish needs no reload. It must not keep open files
(`open_file_cache`).
"""

from __future__ import annotations

import re
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.publish.index.pages import FILES, HTML_NAME, JSON_NAME
from wheelmill.publish.index.serve import HTML_TYPE, JSON_TYPE, TYPES

_NAME = re.compile(r"(\*\.|\.)?[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?", re.ASCII)
_PLACE = re.compile(r"/[A-Za-z0-9._+@/-]*", re.ASCII)
_LATEST = "application/vnd.pypi.simple.latest"


def configuration(
    root: Path, *, listen: str = "80", server_name: str = "_", prefix: str = "/", tls: bool = False
) -> str:
    """A file for `/etc/nginx/conf.d`, in whose `http` block it is read.

    `root` is the link that `build_index` made, `prefix` the path that the index has on the server. With `tls`
    it says where certificates go. Raises WheelmillError for words that nginx would read as something else.
    """
    place, path = str(root.absolute()), f"/{prefix.strip('/')}/" if prefix.strip("/") else "/"
    for what, word in (("root", place), ("prefix", path)):
        if not _PLACE.fullmatch(word):
            raise WheelmillError(
                f"{what} {word!r} cannot stand in nginx's configuration as it is",
                hint="Use letters, digits and . _ + @ - only; a link to the folder will do.",
            )
    if server_name != "_" and not _NAME.fullmatch(server_name):
        raise WheelmillError(f"{server_name!r} is not a server name", hint="Write it as pypi.example.org.")
    return _HEAD + _maps() + _server(place, path, _listen(listen, tls=tls), server_name, tls=tls)


def _listen(text: str, *, tls: bool) -> str:
    match = re.fullmatch(r"(?:([0-9.]+|\[[0-9a-fA-F:]+\]):)?(\d{1,5})", text, re.ASCII)
    if match is None or not 0 < int(match[2]) < 65536:
        raise WheelmillError(
            f"{text!r} is not a port, nor an address with one", hint="Write 80 or 127.0.0.1:80."
        )
    return f"{text}{' ssl' if tls else ''} backlog=4096"


_HEAD = """\
# Made by `wheelmill index nginx`. It belongs into the http block: /etc/nginx/conf.d/index.conf in Debian.
# Check it with `nginx -t`.
"""


def _maps() -> str:
    """The Accept header -> the form that is given. The first expression that matches counts."""
    json_types = rf"(?:{re.escape(JSON_TYPE)}|{re.escape(_LATEST)}\+json)"
    html_types = rf"(?:{re.escape(HTML_TYPE)}|{re.escape(_LATEST)}\+html)"
    any_html = rf"(?:{html_types}|text/(?:html|\*)|\*/\*)"
    whole, none = r"(?:\s*;\s*q=1(?:\.0*)?)?\s*(?:,|$)", r"\s*;\s*q=0(?:\.0*)?\s*(?:,|$)"
    start = r"~*(?:^|,)\s*"
    rows = [
        ("", "html"),
        (f"{start}{json_types}{whole}", "json"),  # nothing is liked better
        (f"{start}{html_types}{whole}", "versioned"),
        (f"{start}text/html{whole}", "html"),
        (f"{start}{json_types}(?!{none})", "json"),
        (f"{start}{html_types}(?!{none})", "versioned"),
        (f"{start}{any_html}(?!{none})", "html"),
    ]
    chosen = "".join(f'    "{pattern}" {form};\n' for pattern, form in rows)
    return f"""
map $http_accept $index_form {{
    default none;
{chosen}}}
"""


def _server(place: str, path: str, listen: str, name: str, *, tls: bool) -> str:
    secure = (
        f"    ssl_certificate /etc/ssl/certs/{name}.pem;      # yours\n"
        f"    ssl_certificate_key /etc/ssl/private/{name}.key;\n"
        if tls
        else ""
    )
    types = "".join(f"            {kind.partition(';')[0]} {suffix[1:]};\n" for suffix, kind in TYPES.items())
    start = re.escape(path)
    forms = "".join(
        _form(place, form, file, kind)
        for form, file, kind in (
            ("json", JSON_NAME, JSON_TYPE),
            ("html", HTML_NAME, "text/html"),
            ("versioned", HTML_NAME, HTML_TYPE),
        )
    )
    return f"""
server {{
    listen {listen};
    server_name {name};
{secure}    server_tokens off;
    absolute_redirect off;
    client_max_body_size 1k;
    client_header_timeout 20s;
    send_timeout 20s;
    large_client_header_buffers 4 16k;
    sendfile on;
    tcp_nopush on;
    gzip on;
    gzip_vary on;
    gzip_min_length 1k;
    gzip_types {JSON_TYPE} {HTML_TYPE} text/plain application/json application/jsonl;
    add_header X-Content-Type-Options nosniff always;

    if ($request_method !~ ^(GET|HEAD)$) {{
        return 405;
    }}

    # Wheels and what lies beside them: named by their hash, so what an address gives never changes.
    location ~ "^{start}{FILES}/(?<file>[0-9a-f]{{64}}/[^/]+)$" {{
        root {place}/{FILES};
        try_files /$file =404;
        types {{
{types}        }}
        default_type application/octet-stream;
        gzip off;
        add_header X-Content-Type-Options nosniff always;
        add_header Cache-Control "public, max-age=31536000, immutable";
    }}

    # One form each. Before the pages: an address that was rewritten once would be taken for a page's again.
{forms}
    # Pages, in the form that the client likes best.
    location ~ "^{start}(?<page>(?:[^/]+/)*simple/(?:[^/]+/)?)$" {{
        if ($index_form = none) {{
            return 406;
        }}
        rewrite ^ /=$index_form/$page last;
    }}

    # A page without its slash at the end.
    location ~ "^{start}(?:[^/]+/)*simple(?:/[^/]+)?$" {{
        return 301 $uri/;
    }}

    # What is checked by hand: `sha256sum -c manifest`, and the signatures of the index.
    location ~ "^{start}(?<told>manifest|sealed|metadata/[^/]+)$" {{
        root {place};
        try_files /$told =404;
        types {{ application/json json; }}
        default_type text/plain;
        add_header X-Content-Type-Options nosniff always;
        add_header Cache-Control no-cache;
    }}

    location / {{
        return 404;
    }}
}}
"""


def _form(place: str, form: str, file: str, kind: str) -> str:
    """Where one form of the pages is given from."""
    return f"""
    location ~ "^/={form}/(?<asked>.*)$" {{
        internal;
        root {place};
        try_files /${{asked}}{file} =404;
        types {{ }}
        default_type {kind};
        charset {"off" if form == "json" else "utf-8"};
        charset_types {HTML_TYPE};
        add_header X-Content-Type-Options nosniff always;
        add_header Cache-Control no-cache;
        add_header Vary Accept;
    }}
"""
