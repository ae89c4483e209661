import { platform } from "./platform"

/** Letters of 5 columns, bit 0 on top, from the blank to "z"; a sixth column stays free. */
const columns = hex`
    0000000000 00005f0000 0007000700 147f147f14 242a7f2a12 2313086462 3649552250 0005030000
    001c224100 0041221c00 14083e0814 08083e0808 0050300000 0808080808 0060600000 2010080402
    3e5149453e 00427f4000 4261514946 2141454b31 1814127f10 2745454539 3c4a494930 0171090503
    3649494936 064949291e 0036360000 0056360000 0814224100 1414141414 0041221408 0201510906
    324979413e 7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a
    7f0808087f 00417f4100 2040413f01 7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e
    7f09090906 3e4151215e 7f09192946 4649494931 01017f0101 3f4040403f 1f2040201f 3f4038403f
    6314081463 0708700807 6151494543 007f414100 0204081020 0041417f00 0402010204 4040404040
    0001020400 2054545478 7f48444438 3844444420 384444487f 3854545418 087e090102 0c5252523e
    7f08040478 00447d4000 2040443d00 7f10284400 00417f4000 7c04180478 7c08040478 3844444438
    7c14141408 081414187c 7c08040408 4854545420 043f444020 3c4040207c 1c2040201c 3c4030403c
    4428102844 0c5050503c 4464544c44
`
const first = 32
const glyphColumns = 5
const stride = 128

/** Pixels from one letter to the next at `scale` 1. */
export const letterWidth = 6

/** One column of a letter, `scale` (1 to 3) times as tall: bit 0 on top. A sign that is none is a question mark. */
function columnOf(sign: number, column: number, scale: number): number {
    let glyph = (sign - first) * glyphColumns
    if (!(glyph >= 0 && glyph < columns.length)) glyph = ("?".charCodeAt(0) - first) * glyphColumns
    const bits = columns[glyph + column]
    const dot = (1 << scale) - 1
    let tall = 0
    for (let b = 0; b < 8; ++b) if ((bits & (1 << b)) !== 0) tall |= dot << (b * scale)
    return tall
}

/**
 * Draws `words` into a picture of the panel (8 pages of 128 columns) from `column` and `page` on, `scale` (1 to 3) times as
 * large, over what is there. What is beyond the right edge is cut off.
 */
export function draw(picture: Buffer, column: number, page: number, scale: number, words: string): void {
    platform().yieldNow()
    for (let i = 0; i < words.length; ++i) {
        for (let c = 0; c < glyphColumns; ++c) {
            const tall = columnOf(words.charCodeAt(i), c, scale)
            for (let wide = 0; wide < scale; ++wide) {
                const x = column + (i * letterWidth + c) * scale + wide
                if (x >= 0 && x < stride)
                    for (let p = 0; p < scale; ++p) picture[(page + p) * stride + x] = (tall >> (8 * p)) & 0xff
            }
        }
    }
}

/**
 * A picture of `signs` alone: `scale` pages of as many columns as the signs take, page behind page, as `StripPanel.put` takes it. 21 signs
 * of `scale` 1 or ten of 2 take 11,000 steps.
 */
export function drawStrip(signs: Buffer, scale: number): Buffer {
    const width = signs.length * letterWidth * scale
    const strip = Buffer.alloc(width * scale)
    for (let i = 0; i < signs.length; ++i)
        for (let x = 0; x < glyphColumns * scale; ++x) {
            const tall = columnOf(signs[i], Math.floor(x / scale), scale)
            for (let p = 0; p < scale; ++p) strip[p * width + i * letterWidth * scale + x] = (tall >> (8 * p)) & 0xff
        }
    return strip
}

/** Turns dark and light round in one page. */
export function invert(picture: Buffer, page: number): void {
    for (let x = 0; x < stride; ++x) picture[page * stride + x] = picture[page * stride + x] ^ 0xff
}
