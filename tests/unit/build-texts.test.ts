import { expect, test } from "vitest"
import { withoutTexts } from "../../tools/build/texts"

const strip = (text: string) => withoutTexts("a.ts", text)

test("an image's refusals keep code and place, and lose their words", () => {
    expect(strip('fail(Code.X, at + 1, "a", "b" + c)')).toBe("fail(Code.X, at + 1)")
    expect(strip('if (x) return fail(Code.Y, -1, f("("), g(",", 2))')).toBe("if (x) return fail(Code.Y)")
})

test("lines stay where they are, and nothing else changes", () => {
    expect(strip('fail(\n    Code.X,\n    at,\n    "a",\n    "b",\n)\nnext()')).toBe(
        "fail(\n    Code.X,\n    at\n\n,\n)\nnext()",
    )
    for (const text of [
        "fail(Code.X, 1)",
        'other(fail, 1, "a", "b")',
        'x.fail(Code.X, 1, "a", "b")',
        "prevail(1, 2, 3, 4)",
    ])
        expect(strip(text)).toBe(text)
})

test("several in one source, one inside the other", () => {
    expect(strip('fail(A, 1, "a", "b"); fail(B, 2, "c", "d")')).toBe("fail(A, 1); fail(B, 2)")
})
