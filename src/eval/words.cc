#include "eval/words.h"

#include <array>

namespace kvasir::eval {

std::span<const std::string_view> Adjectives() {
  static constexpr auto kWords = std::to_array<std::string_view>({
      "amber",    "ample",   "ancient",  "arid",     "austere", "azure",  "barren",  "bashful", "blunt",    "bold",
      "brave",    "brief",   "bright",   "brisk",    "broad",   "calm",   "candid",  "careful", "cheerful", "chilly",
      "civil",    "clean",   "clever",   "coarse",   "copper",  "cosy",   "crimson", "crisp",   "curious",  "daring",
      "dense",    "distant", "drowsy",   "dusty",    "eager",   "early",  "earnest", "elegant", "empty",    "faint",
      "faithful", "famous",  "fancy",    "fertile",  "fierce",  "flimsy", "fluent",  "foggy",   "formal",   "fragile",
      "frank",    "fresh",   "frosty",   "frugal",   "gallant", "gentle", "giddy",   "gloomy",  "golden",   "graceful",
      "grand",    "grave",   "hardy",    "harsh",    "hasty",   "heavy",  "hidden",  "hollow",  "honest",   "humble",
      "hungry",   "icy",     "idle",     "ivory",    "jolly",   "keen",   "kind",    "lavish",  "lazy",     "lively",
      "lofty",    "lonely",  "loud",     "loyal",    "lucid",   "lunar",  "mellow",  "merry",   "mighty",   "mild",
      "misty",    "modest",  "muddy",    "narrow",   "neat",    "nimble", "noble",   "obscure", "odd",      "opaque",
      "orderly",  "pale",    "patient",  "peculiar", "placid",  "plump",  "polite",  "prompt",  "proud",    "quaint",
      "quick",    "quiet",   "rapid",    "rare",     "ripe",    "robust", "rocky",   "rugged",  "rustic",   "sandy",
      "scarlet",  "secret",  "serene",   "severe",   "shallow", "sharp",  "shiny",   "shy",     "silent",   "silver",
      "simple",   "sincere", "sleepy",   "slender",  "smooth",  "sober",  "solemn",  "solid",   "stately",  "steady",
      "steep",    "stern",   "sturdy",   "subtle",   "sunny",   "swift",  "tame",    "tender",  "thirsty",  "thrifty",
      "tidy",     "timid",   "tranquil", "trusty",   "upright", "urban",  "valiant", "vast",    "velvet",   "vivid",
      "warm",     "wary",    "weary",    "wild",     "windy",   "wise",   "witty",   "wooden",  "young",    "zealous",
  });
  return kWords;
}

std::span<const std::string_view> Nouns() {
  static constexpr auto kWords = std::to_array<std::string_view>({
      "acorn",    "actor",    "album",   "alley",    "anchor",   "ankle",     "apple",    "apron",    "arch",
      "armour",   "arrow",    "attic",   "avenue",   "badge",    "bakery",    "balcony",  "ballad",   "banner",
      "barge",    "barley",   "barrel",  "basin",    "basket",   "beacon",    "beaver",   "bell",     "bench",
      "berry",    "bicycle",  "biscuit", "blanket",  "blossom",  "bonnet",    "bottle",   "boulder",  "bowl",
      "bracelet", "branch",   "brick",   "bridge",   "broom",    "brush",     "bucket",   "buckle",   "bugle",
      "bundle",   "butter",   "button",  "cabin",    "cable",    "cactus",    "camel",    "candle",   "canoe",
      "canvas",   "canyon",   "captain", "caravan",  "cargo",    "carpet",    "carrot",   "castle",   "cavern",
      "cedar",    "cellar",   "chalk",   "chapel",   "chariot",  "cherry",    "chimney",  "choir",    "cinnamon",
      "circus",   "cliff",    "cloak",   "clock",    "cloud",    "clover",    "coach",    "coast",    "cobbler",
      "collar",   "comet",    "compass", "copse",    "coral",    "corner",    "cottage",  "cotton",   "cradle",
      "crane",    "crater",   "cricket", "crown",    "crystal",  "cupboard",  "curtain",  "cushion",  "cypress",
      "dagger",   "daisy",    "dancer",  "dawn",     "desert",   "diary",     "dome",     "donkey",   "dragon",
      "drawer",   "drum",     "eagle",   "easel",    "echo",     "elbow",     "ember",    "engine",   "envelope",
      "errand",   "estuary",  "fable",   "falcon",   "farmer",   "feather",   "fence",    "ferry",    "fiddle",
      "field",    "finch",    "flagon",  "flame",    "flannel",  "flask",     "flute",    "forest",   "fossil",
      "fountain", "fox",      "furnace", "gallery",  "galley",   "garden",    "garlic",   "garment",  "gate",
      "gazette",  "geyser",   "ginger",  "glacier",  "goblet",   "goose",     "granite",  "grove",    "guitar",
      "gull",     "hamlet",   "hammer",  "hammock",  "harbour",  "harp",      "harvest",  "hawk",     "hazel",
      "heron",    "hinge",    "honey",   "horizon",  "hornet",   "hound",     "igloo",    "inkwell",  "island",
      "ivy",      "jacket",   "jar",     "jasmine",  "jewel",    "jigsaw",    "journal",  "jug",      "juniper",
      "kayak",    "kennel",   "kettle",  "kitchen",  "kite",     "ladder",    "lagoon",   "lantern",  "lark",
      "lawn",     "ledger",   "lemon",   "lettuce",  "lever",    "lilac",     "linen",    "lizard",   "locket",
      "loom",     "lute",     "magnet",  "magpie",   "mallet",   "mango",     "mantle",   "maple",    "marble",
      "market",   "marsh",    "mason",   "meadow",   "melon",    "mentor",    "mill",     "miller",   "mirror",
      "mitten",   "moat",     "monk",    "moor",     "mosaic",   "moth",      "mountain", "museum",   "mushroom",
      "napkin",   "needle",   "nettle",  "notebook", "nutmeg",   "oak",       "oasis",    "oatmeal",  "orchard",
      "organ",    "otter",    "oven",    "owl",      "oyster",   "paddle",    "palace",   "pantry",   "paper",
      "parcel",   "parlour",  "parrot",  "pasture",  "path",     "pavement",  "peach",    "pear",     "pebble",
      "pelican",  "pencil",   "pepper",  "piano",    "pigeon",   "pillar",    "pillow",   "pilot",    "pine",
      "pitcher",  "plateau",  "plough",  "plum",     "pocket",   "poet",      "pond",     "poplar",   "porch",
      "portrait", "postcard", "potter",  "prairie",  "pulley",   "pumpkin",   "quarry",   "quilt",    "rabbit",
      "raft",     "railway",  "raven",   "reef",     "ribbon",   "ridge",     "river",    "robin",    "rocket",
      "roof",     "rope",     "rudder",  "saddle",   "saffron",  "sailor",    "satchel",  "saucer",   "scarf",
      "school",   "scribe",   "shell",   "shepherd", "shore",    "shovel",    "silk",     "sparrow",  "spindle",
      "spire",    "spoon",    "spruce",  "squirrel", "stable",   "staircase", "statue",   "steeple",  "stream",
      "studio",   "summit",   "swallow", "tailor",   "tapestry", "teapot",    "temple",   "thicket",  "thimble",
      "thistle",  "thunder",  "timber",  "tinker",   "tower",    "trellis",   "trumpet",  "tulip",    "tunnel",
      "turnip",   "turret",   "valley",  "vase",     "village",  "vine",      "violet",   "violin",   "wagon",
      "walnut",   "weaver",   "whistle", "willow",   "window",   "winter",    "wizard",   "workshop", "yard",
  });
  return kWords;
}

std::span<const std::string_view> Verbs() {
  static constexpr auto kWords = std::to_array<std::string_view>({
      "admire",   "adopt",   "advise",    "amuse",    "answer",    "arrange",   "arrive",  "ask",      "assemble",
      "avoid",    "awaken",  "bake",      "balance",  "bargain",   "begin",     "believe", "borrow",   "bounce",
      "build",    "carve",   "celebrate", "choose",   "clap",      "climb",     "collect", "combine",  "compare",
      "complain", "compose", "confess",   "consider", "copy",      "count",     "crawl",   "create",   "cultivate",
      "decide",   "declare", "decorate",  "defend",   "deliver",   "deny",      "depart",  "describe", "discover",
      "divide",   "dream",   "drift",     "embrace",  "encourage", "enjoy",     "examine", "explain",  "explore",
      "fasten",   "fetch",   "finish",    "flourish", "fold",      "follow",    "forget",  "forgive",  "furnish",
      "gather",   "glide",   "grumble",   "guard",    "guess",     "guide",     "happen",  "hesitate", "hum",
      "hurry",    "imagine", "improve",   "inherit",  "inspect",   "invent",    "invite",  "juggle",   "kneel",
      "laugh",    "learn",   "linger",    "listen",   "loosen",    "measure",   "mend",    "mention",  "mingle",
      "mumble",   "nibble",  "notice",    "obey",     "observe",   "obtain",    "offer",   "paint",    "pardon",
      "persuade", "plant",   "polish",    "ponder",   "pour",      "practise",  "predict", "prepare",  "prevent",
      "promise",  "protect", "provide",   "publish",  "pursue",    "quarrel",   "recite",  "recover",  "refuse",
      "rehearse", "rejoice", "remain",    "remember", "repair",    "repeat",    "rescue",  "reveal",   "rinse",
      "roam",     "scatter", "scribble",  "search",   "select",    "shiver",    "shout",   "sketch",   "smile",
      "soften",   "solve",   "sprinkle",  "stitch",   "stroll",    "stumble",   "succeed", "suggest",  "surrender",
      "tangle",   "teach",   "thank",     "thrive",   "tiptoe",    "translate", "travel",  "tremble",  "unfold",
      "vanish",   "visit",   "wander",    "weave",    "welcome",   "whisper",   "wonder",  "wrap",     "yawn",
  });
  return kWords;
}

}  // namespace kvasir::eval
