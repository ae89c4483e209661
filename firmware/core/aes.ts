import { Code, fail } from "./errors"

/**
 * AES (FIPS 197) encryption. The state is four words, little endian columns. A table entry is 2s s s 3s twice (s = S-box), so
 * that a read at an odd place gives the entry rotated, and 2 KB do for the four tables of the textbook.
 */

/** 256 entries of 8 octets, see above. */
export const aesTable = hex`
    c66363a5c66363a5f87c7c84f87c7c84ee777799ee777799f67b7b8df67b7b8dfff2f20dfff2f20dd66b6bbdd66b6bbdde6f6fb1de6f6fb1
    91c5c55491c5c55460303050603030500201010302010103ce6767a9ce6767a9562b2b7d562b2b7de7fefe19e7fefe19b5d7d762b5d7d762
    4dababe64dababe6ec76769aec76769a8fcaca458fcaca451f82829d1f82829d89c9c94089c9c940fa7d7d87fa7d7d87effafa15effafa15
    b25959ebb25959eb8e4747c98e4747c9fbf0f00bfbf0f00b41adadec41adadecb3d4d467b3d4d4675fa2a2fd5fa2a2fd45afafea45afafea
    239c9cbf239c9cbf53a4a4f753a4a4f7e4727296e47272969bc0c05b9bc0c05b75b7b7c275b7b7c2e1fdfd1ce1fdfd1c3d9393ae3d9393ae
    4c26266a4c26266a6c36365a6c36365a7e3f3f417e3f3f41f5f7f702f5f7f70283cccc4f83cccc4f6834345c6834345c51a5a5f451a5a5f4
    d1e5e534d1e5e534f9f1f108f9f1f108e2717193e2717193abd8d873abd8d87362313153623131532a15153f2a15153f0804040c0804040c
    95c7c75295c7c75246232365462323659dc3c35e9dc3c35e3018182830181828379696a1379696a10a05050f0a05050f2f9a9ab52f9a9ab5
    0e0707090e07070924121236241212361b80809b1b80809bdfe2e23ddfe2e23dcdebeb26cdebeb264e2727694e2727697fb2b2cd7fb2b2cd
    ea75759fea75759f1209091b1209091b1d83839e1d83839e582c2c74582c2c74341a1a2e341a1a2e361b1b2d361b1b2ddc6e6eb2dc6e6eb2
    b45a5aeeb45a5aee5ba0a0fb5ba0a0fba45252f6a45252f6763b3b4d763b3b4db7d6d661b7d6d6617db3b3ce7db3b3ce5229297b5229297b
    dde3e33edde3e33e5e2f2f715e2f2f711384849713848497a65353f5a65353f5b9d1d168b9d1d1680000000000000000c1eded2cc1eded2c
    4020206040202060e3fcfc1fe3fcfc1f79b1b1c879b1b1c8b65b5bedb65b5bedd46a6abed46a6abe8dcbcb468dcbcb4667bebed967bebed9
    7239394b7239394b944a4ade944a4ade984c4cd4984c4cd4b05858e8b05858e885cfcf4a85cfcf4abbd0d06bbbd0d06bc5efef2ac5efef2a
    4faaaae54faaaae5edfbfb16edfbfb16864343c5864343c59a4d4dd79a4d4dd7663333556633335511858594118585948a4545cf8a4545cf
    e9f9f910e9f9f9100402020604020206fe7f7f81fe7f7f81a05050f0a05050f0783c3c44783c3c44259f9fba259f9fba4ba8a8e34ba8a8e3
    a25151f3a25151f35da3a3fe5da3a3fe804040c0804040c0058f8f8a058f8f8a3f9292ad3f9292ad219d9dbc219d9dbc7038384870383848
    f1f5f504f1f5f50463bcbcdf63bcbcdf77b6b6c177b6b6c1afdada75afdada7542212163422121632010103020101030e5ffff1ae5ffff1a
    fdf3f30efdf3f30ebfd2d26dbfd2d26d81cdcd4c81cdcd4c180c0c14180c0c142613133526131335c3ecec2fc3ecec2fbe5f5fe1be5f5fe1
    359797a2359797a2884444cc884444cc2e1717392e17173993c4c45793c4c45755a7a7f255a7a7f2fc7e7e82fc7e7e827a3d3d477a3d3d47
    c86464acc86464acba5d5de7ba5d5de73219192b3219192be6737395e6737395c06060a0c06060a019818198198181989e4f4fd19e4f4fd1
    a3dcdc7fa3dcdc7f4422226644222266542a2a7e542a2a7e3b9090ab3b9090ab0b8888830b8888838c4646ca8c4646cac7eeee29c7eeee29
    6bb8b8d36bb8b8d32814143c2814143ca7dede79a7dede79bc5e5ee2bc5e5ee2160b0b1d160b0b1daddbdb76addbdb76dbe0e03bdbe0e03b
    6432325664323256743a3a4e743a3a4e140a0a1e140a0a1e924949db924949db0c06060a0c06060a4824246c4824246cb85c5ce4b85c5ce4
    9fc2c25d9fc2c25dbdd3d36ebdd3d36e43acacef43acacefc46262a6c46262a6399191a8399191a8319595a4319595a4d3e4e437d3e4e437
    f279798bf279798bd5e7e732d5e7e7328bc8c8438bc8c8436e3737596e373759da6d6db7da6d6db7018d8d8c018d8d8cb1d5d564b1d5d564
    9c4e4ed29c4e4ed249a9a9e049a9a9e0d86c6cb4d86c6cb4ac5656faac5656faf3f4f407f3f4f407cfeaea25cfeaea25ca6565afca6565af
    f47a7a8ef47a7a8e47aeaee947aeaee910080818100808186fbabad56fbabad5f0787888f07878884a25256f4a25256f5c2e2e725c2e2e72
    381c1c24381c1c2457a6a6f157a6a6f173b4b4c773b4b4c797c6c65197c6c651cbe8e823cbe8e823a1dddd7ca1dddd7ce874749ce874749c
    3e1f1f213e1f1f21964b4bdd964b4bdd61bdbddc61bdbddc0d8b8b860d8b8b860f8a8a850f8a8a85e0707090e07070907c3e3e427c3e3e42
    71b5b5c471b5b5c4cc6666aacc6666aa904848d8904848d80603030506030305f7f6f601f7f6f6011c0e0e121c0e0e12c26161a3c26161a3
    6a35355f6a35355fae5757f9ae5757f969b9b9d069b9b9d0178686911786869199c1c15899c1c1583a1d1d273a1d1d27279e9eb9279e9eb9
    d9e1e138d9e1e138ebf8f813ebf8f8132b9898b32b9898b32211113322111133d26969bbd26969bba9d9d970a9d9d970078e8e89078e8e89
    339494a7339494a72d9b9bb62d9b9bb63c1e1e223c1e1e221587879215878792c9e9e920c9e9e92087cece4987cece49aa5555ffaa5555ff
    5028287850282878a5dfdf7aa5dfdf7a038c8c8f038c8c8f59a1a1f859a1a1f809898980098989801a0d0d171a0d0d1765bfbfda65bfbfda
    d7e6e631d7e6e631844242c6844242c6d06868b8d06868b8824141c3824141c3299999b0299999b05a2d2d775a2d2d771e0f0f111e0f0f11
    7bb0b0cb7bb0b0cba85454fca85454fc6dbbbbd66dbbbbd62c16163a2c16163a`

/** The expanded key (clause 5.2) of AES-128 or AES-256, 44 or 60 words; `key` 16 or 32 octets, else `BadArgument`. */
export function expandAesKey(key: Buffer): number[] {
    const size = key.length >> 2
    if (key.length !== 16 && key.length !== 32) fail(Code.BadArgument, -1, "a key of 16 or 32 octets", key.length + "")
    const words: number[] = []
    for (let i = 0; i < size; ++i) words.push(key.getAt(4 * i, "i32"))
    let constant = 1
    let word = words[size - 1]
    const end = 4 * size + 28
    for (let i = size; i < end; ++i) {
        if ((i & 3) === 0)
            word =
                aesTable[((word << 3) & 0x7f8) + 1] |
                (aesTable[((word >> 5) & 0x7f8) + 1] << 8) |
                (aesTable[((word >> 13) & 0x7f8) + 1] << 16) |
                (aesTable[((word >> 21) & 0x7f8) + 1] << 24)
        if ((i & (size - 1)) === 0) {
            word = (word >>> 8) ^ (word << 24) ^ constant
            constant = (constant << 1) ^ ((constant >> 7) * 0x11b)
        }
        word = word ^ words[i - size]
        words.push(word)
    }
    return words
}

/**
 * Encrypts the block of the words a0 to a3 (each four octets, little endian) and adds it (XOR) to the 16 octets of
 * `into` from `at`. About 1,900 steps for AES-128, no yield.
 */
// biome-ignore format: one word a line
export function addAesBlock(words: number[], a0: number, a1: number, a2: number, a3: number, into: Buffer, at: number): void {
    const end = words.length - 4
    let b0 = a0 ^ words[0]
    let b1 = a1 ^ words[1]
    let b2 = a2 ^ words[2]
    let b3 = a3 ^ words[3]
    for (let k = 4; k < end; k += 4) {
        a0 = b0
        a1 = b1
        a2 = b2
        a3 = b3
        b0 = aesTable.getAt((a0 << 3) & 0x7f8, "i32") ^ aesTable.getAt(((a1 >> 5) & 0x7f8) + 3, "i32") ^ aesTable.getAt(((a2 >> 13) & 0x7f8) + 2, "i32") ^ aesTable.getAt(((a3 >> 21) & 0x7f8) + 1, "i32") ^ words[k]
        b1 = aesTable.getAt((a1 << 3) & 0x7f8, "i32") ^ aesTable.getAt(((a2 >> 5) & 0x7f8) + 3, "i32") ^ aesTable.getAt(((a3 >> 13) & 0x7f8) + 2, "i32") ^ aesTable.getAt(((a0 >> 21) & 0x7f8) + 1, "i32") ^ words[k + 1]
        b2 = aesTable.getAt((a2 << 3) & 0x7f8, "i32") ^ aesTable.getAt(((a3 >> 5) & 0x7f8) + 3, "i32") ^ aesTable.getAt(((a0 >> 13) & 0x7f8) + 2, "i32") ^ aesTable.getAt(((a1 >> 21) & 0x7f8) + 1, "i32") ^ words[k + 2]
        b3 = aesTable.getAt((a3 << 3) & 0x7f8, "i32") ^ aesTable.getAt(((a0 >> 5) & 0x7f8) + 3, "i32") ^ aesTable.getAt(((a1 >> 13) & 0x7f8) + 2, "i32") ^ aesTable.getAt(((a2 >> 21) & 0x7f8) + 1, "i32") ^ words[k + 3]
    }
    into.setAt(at, "i32", into.getAt(at, "i32") ^ words[end] ^ (aesTable.getAt(((b0 << 3) & 0x7f8) + 1, "i32") & 0xff) ^ (aesTable.getAt((b1 >> 5) & 0x7f8, "i32") & 0xff00) ^ (aesTable.getAt((b2 >> 13) & 0x7f8, "i32") & 0xff0000) ^ (aesTable.getAt(((b3 >> 21) & 0x7f8) + 2, "i32") & -0x1000000))
    into.setAt(at + 4, "i32", into.getAt(at + 4, "i32") ^ words[end + 1] ^ (aesTable.getAt(((b1 << 3) & 0x7f8) + 1, "i32") & 0xff) ^ (aesTable.getAt((b2 >> 5) & 0x7f8, "i32") & 0xff00) ^ (aesTable.getAt((b3 >> 13) & 0x7f8, "i32") & 0xff0000) ^ (aesTable.getAt(((b0 >> 21) & 0x7f8) + 2, "i32") & -0x1000000))
    into.setAt(at + 8, "i32", into.getAt(at + 8, "i32") ^ words[end + 2] ^ (aesTable.getAt(((b2 << 3) & 0x7f8) + 1, "i32") & 0xff) ^ (aesTable.getAt((b3 >> 5) & 0x7f8, "i32") & 0xff00) ^ (aesTable.getAt((b0 >> 13) & 0x7f8, "i32") & 0xff0000) ^ (aesTable.getAt(((b1 >> 21) & 0x7f8) + 2, "i32") & -0x1000000))
    into.setAt(at + 12, "i32", into.getAt(at + 12, "i32") ^ words[end + 3] ^ (aesTable.getAt(((b3 << 3) & 0x7f8) + 1, "i32") & 0xff) ^ (aesTable.getAt((b0 >> 5) & 0x7f8, "i32") & 0xff00) ^ (aesTable.getAt((b1 >> 13) & 0x7f8, "i32") & 0xff0000) ^ (aesTable.getAt(((b2 >> 21) & 0x7f8) + 2, "i32") & -0x1000000))
}
