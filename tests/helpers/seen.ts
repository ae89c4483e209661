import { draw } from "../../firmware/core/font"
import type { Ssd1306 } from "../../tools/chips/ssd1306"

/** Letters that are looked for. */
const letters = [..." 0123456789:.-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]

/** The words that a person reads in a row of letters of this size, which begins at `column` or anywhere right of it. */
function words(lit: (x: number, y: number) => boolean, page: number, scale: number, column: number): string {
    let text = ""
    for (let x = column; x + 5 * scale <= 128; x += 6 * scale) {
        const match = letters.find(letter => {
            const glyph = Buffer.alloc(1024)
            draw(glyph, 0, 0, 1, letter)
            for (let c = 0; c < 5; ++c)
                for (let r = 0; r < 8; ++r)
                    for (let sx = 0; sx < scale; ++sx)
                        for (let sy = 0; sy < scale; ++sy)
                            if (lit(x + c * scale + sx, page * 8 + r * scale + sy) !== (((glyph[c] >> r) & 1) === 1))
                                return false
            return true
        })
        text += match ?? "?"
    }
    return text.trim()
}

/** Reads one row of the panel: of all places where it may begin, the one with fewest letters that are none. */
export function read(panel: Ssd1306, page: number, scale: number): string {
    const corner = panel.pixel(127, page * 8 + 7)
    const lit = (x: number, y: number) => panel.pixel(x, y) !== corner
    const tries = [...Array(6 * scale).keys()].map(column => words(lit, page, scale, column))
    const doubts = (text: string) => text.split("?").length
    const best = tries.sort((a, b) => doubts(a) - doubts(b) || b.length - a.length)[0]
    return corner ? `[${best}]` : best
}
