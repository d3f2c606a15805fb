"""`wheelmill upload`: bring a sealed release to an index, a forge's release page, or object storage."""

from __future__ import annotations

from pathlib import Path

import click

from wheelmill.cli import output_options
from wheelmill.console import Console


@click.command()
@click.argument("folder", metavar="RELEASE_FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    required=True,
    metavar="TARGET",
    help="twine, github, gitee, gitcode, or a URL that fsspec knows, such as s3://BUCKET/PREFIX.",
)
@click.option("--repository", metavar="OWNER/NAME", help="github, gitee, gitcode: the repository.")
@click.option("--api", metavar="URL", help="github, gitee, gitcode: another server's API.")
@click.option(
    "--upload-url",
    metavar="URL",
    help="twine: where the index takes uploads. [default: $TWINE_REPOSITORY_URL]",
)
@click.option(
    "--simple-url", metavar="URL", help="twine: where pip reads. [default: the upload URL with simple/]"
)
@output_options
def upload(
    folder: Path,
    target: str,
    repository: str | None,
    api: str | None,
    upload_url: str | None,
    simple_url: str | None,
    console: Console,
) -> int:
    """Upload the release in RELEASE_FOLDER, which `wheelmill release` made.

    What is there is asked first: a file that is there is not sent again, one with other bytes is refused. All
    files are read back before the release is made public. Run the command again to continue.

    Tokens and passwords come from the environment: GITHUB_TOKEN, GITEE_TOKEN, GITCODE_TOKEN, TWINE_USERNAME
    and TWINE_PASSWORD, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    from wheelmill.publish.upload import Options, read, target_for
    from wheelmill.publish.upload import upload as bring

    release = read(folder)
    place = target_for(target, Options(repository, api, upload_url, simple_url))
    report = bring(release, place, note=console.note)
    console.result(report.to_json())
    done = f"{len(report.sent)} files sent, {len(report.kept)} were there"
    console.say(f"{release.title}: {report.url}: {done}; {'published' if report.published else 'public'}.")
    return 0
