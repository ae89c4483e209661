/** Frames of the secure element seen on the wires of real parts, and their CRC as sent (fact sheet, clause 1.2). */
export const elementFrames: [string, string][] = [
    ["0400", "0340"],
    ["0401", "00c3"],
    ["0403", "8342"],
    ["0405", "c343"],
    ["0407", "40c2"],
    ["0408", "60c0"],
    ["040f", "2342"],
    ["0411", "3343"],
    ["04ee", "3141"],
    ["04ff", "0142"],
    ["0730000000", "035d"],
    ["071b000000", "24cd"],
    ["0700006002", "8038"],
    ["0700006003", "83bb"],
]
