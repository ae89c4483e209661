import { aesTable, expandAesKey } from "./aes"
import { Code, fail } from "./errors"
import { platform } from "./platform"

/** The inverse S-box, and for each octet 14u 9u 13u 11u twice, where u is what the inverse S-box makes of it; read as the table of `aes.ts`. */
const inverseBox = hex`
    52096ad53036a538bf40a39e81f3d7fb7ce339829b2fff87348e4344c4dee9cb547b9432a6c2233dee4c950b42fac34e082ea16628d924b2
    765ba2496d8bd12572f8f66486689816d4a45ccc5d65b6926c704850fdedb9da5e154657a78d9d8490d8ab008cbcd30af7e45805b8b34506
    d02c1e8fca3f0f02c1afbd0301138a6b3a9111414f67dcea97f2cfcef0b4e67396ac7422e7ad3585e2f937e81c75df6e47f11a711d29c589
    6fb7620eaa18be1bfc563e4bc6d279209adbc0fe78cd5af41fdda8338807c731b11210592780ec5f60517fa919b54a0d2de57a9f93c99cef
    a0e03b4dae2af5b0c8ebbb3c83539961172b047eba77d626e169146355210c7d`
const inverseTable = hex`
    51f4a75051f4a7507e4165537e4165531a17a4c31a17a4c33a275e963a275e963bab6bcb3bab6bcb1f9d45f11f9d45f1acfa58abacfa58ab
    4be303934be303932030fa552030fa55ad766df6ad766df688cc769188cc7691f5024c25f5024c254fe5d7fc4fe5d7fcc52acbd7c52acbd7
    2635448026354480b562a38fb562a38fdeb15a49deb15a4925ba1b6725ba1b6745ea0e9845ea0e985dfec0e15dfec0e1c32f7502c32f7502
    814cf012814cf0128d4697a38d4697a36bd3f9c66bd3f9c6038f5fe7038f5fe715929c9515929c95bf6d7aebbf6d7aeb955259da955259da
    d4be832dd4be832d587421d3587421d349e0692949e069298ec9c8448ec9c84475c2896a75c2896af48e7978f48e797899583e6b99583e6b
    27b971dd27b971ddbee14fb6bee14fb6f088ad17f088ad17c920ac66c920ac667dce3ab47dce3ab463df4a1863df4a18e51a3182e51a3182
    975133609751336062537f4562537f45b16477e0b16477e0bb6bae84bb6bae84fe81a01cfe81a01cf9082b94f9082b947048685870486858
    8f45fd198f45fd1994de6c8794de6c87527bf8b7527bf8b7ab73d323ab73d323724b02e2724b02e2e31f8f57e31f8f576655ab2a6655ab2a
    b2eb2807b2eb28072fb5c2032fb5c20386c57b9a86c57b9ad33708a5d33708a5302887f2302887f223bfa5b223bfa5b202036aba02036aba
    ed16825ced16825c8acf1c2b8acf1c2ba779b492a779b492f307f2f0f307f2f04e69e2a14e69e2a165daf4cd65daf4cd0605bed50605bed5
    d134621fd134621fc4a6fe8ac4a6fe8a342e539d342e539da2f355a0a2f355a0058ae132058ae132a4f6eb75a4f6eb750b83ec390b83ec39
    4060efaa4060efaa5e719f065e719f06bd6e1051bd6e10513e218af93e218af996dd063d96dd063ddd3e05aedd3e05ae4de6bd464de6bd46
    91548db591548db571c45d0571c45d050406d46f0406d46f605015ff605015ff1998fb241998fb24d6bde997d6bde997894043cc894043cc
    67d99e7767d99e77b0e842bdb0e842bd07898b8807898b88e7195b38e7195b3879c8eedb79c8eedba17c0a47a17c0a477c420fe97c420fe9
    f8841ec9f8841ec900000000000000000980868309808683322bed48322bed481e1170ac1e1170ac6c5a724e6c5a724efd0efffbfd0efffb
    0f8538560f8538563daed51e3daed51e362d3927362d39270a0fd9640a0fd964685ca621685ca6219b5b54d19b5b54d124362e3a24362e3a
    0c0a67b10c0a67b19357e70f9357e70fb4ee96d2b4ee96d21b9b919e1b9b919e80c0c54f80c0c54f61dc20a261dc20a25a774b695a774b69
    1c121a161c121a16e293ba0ae293ba0ac0a02ae5c0a02ae53c22e0433c22e043121b171d121b171d0e090d0b0e090d0bf28bc7adf28bc7ad
    2db6a8b92db6a8b9141ea9c8141ea9c857f1198557f11985af75074caf75074cee99ddbbee99ddbba37f60fda37f60fdf701269ff701269f
    5c72f5bc5c72f5bc44663bc544663bc55bfb7e345bfb7e348b4329768b432976cb23c6dccb23c6dcb6edfc68b6edfc68b8e4f163b8e4f163
    d731dccad731dcca4263851042638510139722401397224084c6112084c61120854a247d854a247dd2bb3df8d2bb3df8aef93211aef93211
    c729a16dc729a16d1d9e2f4b1d9e2f4bdcb230f3dcb230f30d8652ec0d8652ec77c1e3d077c1e3d02bb3166c2bb3166ca970b999a970b999
    119448fa119448fa47e9642247e96422a8fc8cc4a8fc8cc4a0f03f1aa0f03f1a567d2cd8567d2cd8223390ef223390ef87494ec787494ec7
    d938d1c1d938d1c18ccaa2fe8ccaa2fe98d40b3698d40b36a6f581cfa6f581cfa57ade28a57ade28dab78e26dab78e263fadbfa43fadbfa4
    2c3a9de42c3a9de45078920d5078920d6a5fcc9b6a5fcc9b547e4662547e4662f68d13c2f68d13c290d8b8e890d8b8e82e39f75e2e39f75e
    82c3aff582c3aff59f5d80be9f5d80be69d0937c69d0937c6fd52da96fd52da9cf2512b3cf2512b3c8ac993bc8ac993b10187da710187da7
    e89c636ee89c636edb3bbb7bdb3bbb7bcd267809cd2678096e5918f46e5918f4ec9ab701ec9ab701834f9aa8834f9aa8e6956e65e6956e65
    aaffe67eaaffe67e21bccf0821bccf08ef15e8e6ef15e8e6bae79bd9bae79bd94a6f36ce4a6f36ceea9f09d4ea9f09d429b07cd629b07cd6
    31a4b2af31a4b2af2a3f23312a3f2331c6a59430c6a5943035a266c035a266c0744ebc37744ebc37fc82caa6fc82caa6e090d0b0e090d0b0
    33a7d81533a7d815f104984af104984a41ecdaf741ecdaf77fcd500e7fcd500e1791f62f1791f62f764dd68d764dd68d43efb04d43efb04d
    ccaa4d54ccaa4d54e49604dfe49604df9ed1b5e39ed1b5e34c6a881b4c6a881bc12c1fb8c12c1fb84665517f4665517f9d5eea049d5eea04
    018c355d018c355dfa877473fa877473fb0b412efb0b412eb3671d5ab3671d5a92dbd25292dbd252e9105633e91056336dd647136dd64713
    9ad7618c9ad7618c37a10c7a37a10c7a59f8148e59f8148eeb133c89eb133c89cea927eecea927eeb761c935b761c935e11ce5ede11ce5ed
    7a47b13c7a47b13c9cd2df599cd2df5955f2733f55f2733f1814ce791814ce7973c737bf73c737bf53f7cdea53f7cdea5ffdaa5b5ffdaa5b
    df3d6f14df3d6f147844db867844db86caaff381caaff381b968c43eb968c43e3824342c3824342cc2a3405fc2a3405f161dc372161dc372
    bce2250cbce2250c283c498b283c498bff0d9541ff0d954139a8017139a80171080cb3de080cb3ded8b4e49cd8b4e49c6456c1906456c190
    7bcb84617bcb8461d532b670d532b670486c5c74486c5c74d0b85742d0b85742`

/**
 * AES-128 or AES-256 in CBC mode (NIST SP 800-38A clause 6.2) backwards: as many octets as `octets`, whose number is a multiple of 16;
 * fill octets are left in place. `key` 16 or 32 octets, `vector` 16; else `BadArgument`. Nothing here is authenticated: that is the
 * caller's. Yields every 256 octets.
 */
// biome-ignore format: one word a line
export function decryptCbc(key: Buffer, vector: Buffer, octets: Buffer): Buffer {
    if (vector.length !== 16 || (octets.length & 15) !== 0)
        fail(Code.BadArgument, -1, "a vector of 16 octets and whole blocks", vector.length + " and " + octets.length)
    const words = expandAesKey(key)
    const start = words.length - 4
    // The key of the equivalent inverse cipher (FIPS 197 clause 5.3.5), to be read from its end.
    for (let i = 4; i < start; ++i) words[i] = mixedBack(words[i])
    const plain = Buffer.alloc(octets.length)
    let p0 = vector.getAt(0, "i32"), p1 = vector.getAt(4, "i32"), p2 = vector.getAt(8, "i32"), p3 = vector.getAt(12, "i32")
    for (let at = 0; at < octets.length; at += 16) {
        const c0 = octets.getAt(at, "i32"), c1 = octets.getAt(at + 4, "i32"), c2 = octets.getAt(at + 8, "i32"), c3 = octets.getAt(at + 12, "i32")
        let b0 = c0 ^ words[start]
        let b1 = c1 ^ words[start + 1]
        let b2 = c2 ^ words[start + 2]
        let b3 = c3 ^ words[start + 3]
        for (let k = start - 4; k > 0; k -= 4) {
            const a0 = b0
            const a1 = b1
            const a2 = b2
            const a3 = b3
            b0 = inverseTable.getAt((a0 << 3) & 0x7f8, "i32") ^ inverseTable.getAt(((a3 >> 5) & 0x7f8) + 3, "i32") ^ inverseTable.getAt(((a2 >> 13) & 0x7f8) + 2, "i32") ^ inverseTable.getAt(((a1 >> 21) & 0x7f8) + 1, "i32") ^ words[k]
            b1 = inverseTable.getAt((a1 << 3) & 0x7f8, "i32") ^ inverseTable.getAt(((a0 >> 5) & 0x7f8) + 3, "i32") ^ inverseTable.getAt(((a3 >> 13) & 0x7f8) + 2, "i32") ^ inverseTable.getAt(((a2 >> 21) & 0x7f8) + 1, "i32") ^ words[k + 1]
            b2 = inverseTable.getAt((a2 << 3) & 0x7f8, "i32") ^ inverseTable.getAt(((a1 >> 5) & 0x7f8) + 3, "i32") ^ inverseTable.getAt(((a0 >> 13) & 0x7f8) + 2, "i32") ^ inverseTable.getAt(((a3 >> 21) & 0x7f8) + 1, "i32") ^ words[k + 2]
            b3 = inverseTable.getAt((a3 << 3) & 0x7f8, "i32") ^ inverseTable.getAt(((a2 >> 5) & 0x7f8) + 3, "i32") ^ inverseTable.getAt(((a1 >> 13) & 0x7f8) + 2, "i32") ^ inverseTable.getAt(((a0 >> 21) & 0x7f8) + 1, "i32") ^ words[k + 3]
        }
        plain.setAt(at, "i32", p0 ^ words[0] ^ inverseBox[b0 & 0xff] ^ (inverseBox[(b3 >> 8) & 0xff] << 8) ^ (inverseBox[(b2 >> 16) & 0xff] << 16) ^ (inverseBox[b1 >>> 24] << 24))
        plain.setAt(at + 4, "i32", p1 ^ words[1] ^ inverseBox[b1 & 0xff] ^ (inverseBox[(b0 >> 8) & 0xff] << 8) ^ (inverseBox[(b3 >> 16) & 0xff] << 16) ^ (inverseBox[b2 >>> 24] << 24))
        plain.setAt(at + 8, "i32", p2 ^ words[2] ^ inverseBox[b2 & 0xff] ^ (inverseBox[(b1 >> 8) & 0xff] << 8) ^ (inverseBox[(b0 >> 16) & 0xff] << 16) ^ (inverseBox[b3 >>> 24] << 24))
        plain.setAt(at + 12, "i32", p3 ^ words[3] ^ inverseBox[b3 & 0xff] ^ (inverseBox[(b2 >> 8) & 0xff] << 8) ^ (inverseBox[(b1 >> 16) & 0xff] << 16) ^ (inverseBox[b0 >>> 24] << 24))
        p0 = c0
        p1 = c1
        p2 = c2
        p3 = c3
        if ((at & 255) === 240) platform().yieldNow()
    }
    return plain
}

/** InvMixColumns (clause 5.3.3) of one column. */
function mixedBack(word: number): number {
    return (
        inverseTable.getAt(aesTable[((word << 3) & 0x7f8) + 1] << 3, "i32") ^
        inverseTable.getAt((aesTable[((word >> 5) & 0x7f8) + 1] << 3) + 3, "i32") ^
        inverseTable.getAt((aesTable[((word >> 13) & 0x7f8) + 1] << 3) + 2, "i32") ^
        inverseTable.getAt((aesTable[((word >> 21) & 0x7f8) + 1] << 3) + 1, "i32")
    )
}
