"""The page for people: shows at a glance which version answered, and from which machine."""

from __future__ import annotations

import html
import zlib

from .settings import Settings

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>webapp {version}</title>
<style>
  body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center;
         font: 1.1rem/1.6 system-ui, sans-serif; color: hsl({hue} 60% 16%); background: hsl({hue} 70% 94%); }}
  h1 {{ margin: 0; font-size: clamp(3rem, 14vw, 8rem); line-height: 1; letter-spacing: -.03em; }}
  code {{ font-size: 1em; }}
  #answers {{ display: flex; gap: 3px; justify-content: center; height: 1.6rem; margin: 2rem 0 .4rem; }}
  #answers i {{ width: 7px; border-radius: 2px; background: #c8c8c8; }}
  small {{ opacity: .7; }}
</style>
</head>
<body>
<main>
  <p>This is version</p>
  <h1>{version}</h1>
  <p>answered by <code>{host}</code>{instance}</p>
  <div id="answers" aria-hidden="true"></div>
  <small id="last">Each bar is one request; its colour is the version that answered.</small>
</main>
<script>
  const answers = document.getElementById("answers"), last = document.getElementById("last");
  const hues = new Map([["{version}", {hue}]]);
  async function ask() {{
    const bar = document.createElement("i");
    try {{
      const reply = await fetch("/version", {{cache: "no-store"}});
      const {{version, host}} = await reply.json();
      if (!hues.has(version)) hues.set(version, ({hue} + 137 * hues.size) % 360);
      bar.style.background = `hsl(${{hues.get(version)}} 65% 48%)`;
      last.textContent = `${{version}} from ${{host}}`;
    }} catch (error) {{
      bar.style.background = "#000";
      last.textContent = `no answer: ${{error.message}}`;
    }}
    answers.append(bar);
    if (answers.children.length > 40) answers.firstChild.remove();
    setTimeout(ask, 500);
  }}
  ask();
</script>
</body>
</html>
"""


def render(settings: Settings) -> bytes:
    """Return the page of this instance, in a colour that follows from the version."""
    instance = f" (<code>{html.escape(settings.instance_id)}</code>)" if settings.instance_id else ""
    page = _PAGE.format(
        version=html.escape(settings.version),
        host=html.escape(settings.host),
        instance=instance,
        hue=zlib.crc32(settings.version.encode()) % 360,
    )
    return page.encode()
