// A little colour in code: comments, strings, numbers, keywords. One scanner for all languages that differs only in how
// comments begin; it need not be right about every language, only help the eye.
import { el } from "./dom.js";

const kMaxLength = 50000;

const kHashComments = new Set(["py", "python", "sh", "bash", "shell", "zsh", "console", "rb", "ruby", "yaml", "yml", "toml",
  "r", "perl", "make", "makefile", "dockerfile", "cmake", "ini", "elixir"]);
const kDashComments = new Set(["sql", "lua", "haskell", "hs", "ada"]);
const kNoColours = new Set(["", "text", "txt", "plain", "plaintext", "markdown", "md", "diff", "output"]);

const kKeywords = new Set(`abstract and any as assert async await begin bool boolean break byte case catch char class const
  constexpr continue def default defer del delete do double elif else end enum esac except export extends extern False false
  fi final finally float fn for foreach from func function global go goto if impl implements import in include inline int
  interface is lambda let local long loop match mod module mut namespace new nil None nonlocal not null of operator or
  override package pass private protected pub public raise range return self short signed sizeof static struct super switch
  template then this throw throws trait True true try type typedef typename union unless unsigned until use using val var
  virtual void volatile when where while with yield select insert update create table into values join on group order by
  SELECT FROM WHERE INSERT UPDATE DELETE CREATE TABLE INTO VALUES JOIN ON GROUP ORDER BY AND OR NOT NULL AS LIMIT SET`
  .split(/\s+/));

/** The text as nodes. */
export function highlight(text, language) {
  const name = language.toLowerCase();
  if (kNoColours.has(name) || text.length > kMaxLength) return [document.createTextNode(text)];
  const comment = kHashComments.has(name) ? "#[^\\n]*" : kDashComments.has(name) ? "--[^\\n]*" : "//[^\\n]*|/\\*[^]*?(?:\\*/|$)";
  const hash = name === "c" || name === "cpp" || name === "c++" ? "|(?<=^|\\n)[ \\t]*#[a-z]+" : "";
  const tokens = new RegExp(
    `(?<comment>${comment}|<!--[^]*?(?:-->|$))` +
      "|(?<string>\"\"\"[^]*?(?:\"\"\"|$)|'''[^]*?(?:'''|$)|\"(?:[^\"\\\\\\n]|\\\\.)*\"?|'(?:[^'\\\\\\n]|\\\\.)*'|`(?:[^`\\\\]|\\\\.)*`?)" +
      "|(?<number>\\b(?:0[xXbBoO][0-9a-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\b)" +
      `|(?<word>[A-Za-z_$][\\w$]*${hash})`, "g");
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(tokens)) {
    const kind = kindOf(found, text);
    if (kind === null) continue;
    if (found.index > at) nodes.push(text.slice(at, found.index));
    nodes.push(el("span", { class: `hl-${kind}` }, found[0]));
    at = found.index + found[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

function kindOf({ 0: token, groups, index }, text) {
  for (const kind of ["comment", "string", "number"]) {
    if (groups[kind] !== undefined) return kind;
  }
  if (kKeywords.has(token) || token.includes("#")) return "keyword";
  return text[index + token.length] === "(" ? "call" : null;
}
