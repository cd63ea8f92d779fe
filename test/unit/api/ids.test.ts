// Which user and group ids are taken: those of everyday writing, and none that hides a character or mixes look-alikes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { idProblem } from "../../../src/api/ids.ts";
import { groupIdSchema, userIdSchema } from "../../../src/api/schemas.ts";
import { anyText } from "../any-text.ts";

const ALLOWED = [
  ...["bob", "Bob.Smith-2@example.org", "a", "7", "x".repeat(64), "user_1"],
  ...["ñandú", "Zoë", "Đặng", "straße", "боб7", "Δέλτα", "Հայ", "ქართული"],
  ...["مرحبا", "שלום", "हिन्दी", "தமிழ்", "ไทย", "ខ្មែរ", "አማርኛ", "١٢٣"],
  ...["б".repeat(64), "𠮷".repeat(64), "x\u0301\u0302\u0303\u0304"],
  ...["東京", "東京tokyo", "ひらカナ漢字abc", "すーぱー", "한국Kim", "韓國한국", "ㄅㄆ漢", "𠮷野家"],
];

/** Id, and what its refusal has to name. */
const REFUSED: readonly [id: string, named: RegExp][] = [
  ["bob\uFE0F", /U\+FE0F is invisible; leave it out/],
  ["\u3164", /U\+3164 is invisible/],
  ["bo\u200Bb", /U\+200B is invisible/],
  ["bob\u200D", /U\+200D is invisible/],
  ["bo\u00ADb", /U\+00AD is invisible/],
  ["bo\u034Fb", /U\+034F is invisible/],
  ["b\u115Fob", /U\+115F is invisible/],
  ["bob\u{E0041}", /U\+E0041 is invisible/],
  ["bob\u{E0100}", /U\+E0100 is invisible/],
  ["bob\u180E", /U\+180E is invisible/],
  ["\u202Ebob", /U\+202E is invisible/],
  ["bob\u2066x", /U\+2066 is invisible/],
  ["bob\uFEFF", /U\+FEFF is invisible/],
  ["bo\u2800b", /U\+2800.* is not allowed/],
  ["bo\u00A0b", /U\+00A0 is not allowed/],
  ["bo b", /U\+0020 is not allowed/],
  ["bob\n", /U\+000A is not allowed/],
  ["bob\u0007", /U\+0007 is not allowed/],
  ["bo/b", /'\/' \(U\+002F\) is not allowed/],
  ["a\u20DD", /U\+20DD is not allowed/],
  ["😀", /U\+1F600.* is not allowed/],
  ["\uD800", /U\+D800 is not allowed/],
  ["b\u043Eb", /mixes Latin and Cyrillic.*'о' \(U\+043E\) beside 'b'.*one script/],
  ["\u0430lice", /mixes Cyrillic and Latin.*'l' \(U\+006C\) beside 'а'/],
  ["b\u03BFb", /mixes Latin and Greek/],
  ["ab\u0585", /mixes Latin and Armenian/],
  ["бοб", /mixes Cyrillic and Greek/],
  ["ひら한", /mixes Hiragana and Hangul/],
  ["漢б", /mixes Han and Cyrillic/],
  ["ㄅひ", /mixes Bopomofo and Hiragana/],
  ["ｂｏｂ", /'ｂ' \(U\+FF42\) is another form/],
  ["𝐛ob", /U\+1D41B\) is another form/],
  ["bob²", /'²' \(U\+00B2\) is another form/],
  ["ﬁn", /'ﬁ' \(U\+FB01\) is another form/],
  ["ⓑob", /U\+24D1.* is (another form|not allowed)/],
  ["ᏴᎪ", /U\+13F4.* script that is not in everyday use/],
  ["ꓐꓳꓐ", /U\+A4D0.* script that is not in everyday use/],
  ["𐌁𐌏𐌁", /U\+10301.* script that is not in everyday use/],
  ["1١", /digits of two scripts.*'١' \(U\+0661\) beside '1'/],
  ["x\u0301\u0301", /U\+0301 occurs twice/],
  ["x\u0301\u0302\u0303\u0304\u0305", /has 5 marks; at most 4/],
  ["x\u0301\u0302\u0303\u0304\u0305\u0306", /has 6 marks; at most 4/],
  ["б".repeat(65), /1 to 64 letters/],
  ["x\u0301".repeat(65), /1 to 64 letters/],
  ["", /1 to 64 letters/],
  ["x".repeat(65), /1 to 64 letters/],
  [".bob", /beginning with a letter or digit/],
  ["\u0301bob", /beginning with a letter or digit/],
];

describe("idProblem", () => {
  for (const id of ALLOWED) {
    it(`takes ${id}`, () => {
      assert.equal(idProblem("user id", id.normalize()), undefined);
    });
  }

  for (const [id, named] of REFUSED) {
    it(`refuses ${JSON.stringify(id.length > 64 ? `${id.length} characters` : id)}, and says which character and what to do`, () => {
      assert.match(idProblem("group id", id.normalize()) ?? "no problem", named);
    });
  }

  it("shows no character in its sentence that could hide or move anything", () => {
    fc.assert(
      fc.property(anyText({ minLength: 1, maxLength: 20 }), (id) => {
        const problem = idProblem("user id", id.normalize()) ?? "";
        assert.doesNotMatch(problem, /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
      }),
    );
  });

  it("takes no time over a megabyte", () => {
    const startedAtMs = performance.now();
    assert.match(idProblem("user id", "x".repeat(1024 * 1024)) ?? "", /1 to 64 letters/);
    assert.ok(performance.now() - startedAtMs < 100);
  });
});

describe("userIdSchema and groupIdSchema", () => {
  it("bring an id into normal form C", () => {
    assert.equal(userIdSchema.parse("Zoe\u0308"), "Zo\u00EB");
    assert.equal(groupIdSchema.parse("Zoe\u0308"), "Zo\u00EB");
  });

  it("refuse what has a problem, with its sentence", () => {
    for (const [schema, what] of [
      [userIdSchema, "user id"],
      [groupIdSchema, "group id"],
    ] as const) {
      const { error } = schema.safeParse("b\u043Eb");
      assert.equal(error?.issues[0]?.message, idProblem(what, "b\u043Eb"));
    }
  });
});

it("refuses letters and marks that are hard to see or to tell from punctuation", () => {
  const odd = [
    "\u0640",
    "\u01c3",
    "\u02b9",
    "\u02c8",
    "\u02d0",
    "\u3031",
    "\ua78f",
    "\u20d0",
    "\u302e",
    "\ufe20",
    "\u1dc4",
  ];
  for (const character of odd) {
    const base = character === "\u0640" ? "\u0645\u062d" : character === "\u302e" ? "\uac00" : "bob";
    assert.match(idProblem("user id", base + character) ?? "", /leave it out/, JSON.stringify(character));
    assert.equal(idProblem("user id", base), undefined);
  }
  // The letters of Hawaiian and of Breton are ones.
  for (const id of ["\u02bbohana", "c\u02bchoant"]) assert.equal(idProblem("user id", id), undefined);
});
