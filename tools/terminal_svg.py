#!/usr/bin/env python3
"""Draws text from standard input as a terminal window in SVG: the picture in the README.

Lines that begin with "> " or "$ " are what a person typed. Make the text with a real terminal, for example in tmux:
tmux capture-pane -p | tools/terminal_svg.py "kvasir chat" > docs/images/chat.svg
"""
import html
import sys

LINE = 19
CHARACTER = 8.43
MARGIN = 18
BAR = 34


def style(line):
    if line.startswith(("> ", "$ ")):
        return "typed"
    if line.startswith("prompt ") and "tok/s" in line:
        return "quiet"
    return "text"


def main():
    title = sys.argv[1] if len(sys.argv) > 1 else "terminal"
    lines = [line.rstrip() for line in sys.stdin.read().rstrip().split("\n")]
    width = int(max(map(len, lines)) * CHARACTER + 2 * MARGIN)
    height = BAR + len(lines) * LINE + MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
          f'aria-label="{html.escape(title)}">')
    print("<style>text{font:14px ui-monospace,Menlo,Consolas,monospace;white-space:pre}.text{fill:#d7dae0}"
          ".typed{fill:#8bd49c}.quiet{fill:#7b8494}.title{fill:#9aa3b2}</style>")
    print(f'<rect width="{width}" height="{height}" rx="10" fill="#16191f"/>')
    for i, colour in enumerate(("#ec6a5e", "#f4bf4f", "#61c554")):
        print(f'<circle cx="{20 + 18 * i}" cy="17" r="6" fill="{colour}"/>')
    print(f'<text class="title" x="{width / 2}" y="22" text-anchor="middle">{html.escape(title)}</text>')
    for i, line in enumerate(lines):
        if line:
            y = BAR + (i + 1) * LINE
            print(f'<text class="{style(line)}" x="{MARGIN}" y="{y}" xml:space="preserve">{html.escape(line)}</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
