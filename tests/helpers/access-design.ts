import { Fn } from "../../firmware/core/access"
import { Role } from "../../firmware/core/x509-role"

/** The tables as the design has them, by the initials of the roles. */
const initials: Record<string, Role> = {
    I: Role.institute,
    C: Role.calibrationAuthority,
    M: Role.manufacturer,
    S: Role.securityManagement,
    O: Role.operator,
    D: Role.dataCollection,
    E: Role.energyProvider,
    L: Role.localOperator,
    U: Role.customer,
    N: Role.indicator,
}

function rolesOf(letters: string): Set<Role> {
    return new Set(letters.split(" ").flatMap(each => initials[each] ?? []))
}

const all = "I C M S O D E L U N"
// function | at delivery | fixed | ceiling | editor
/** The rows of the table; sets of roles. */
export const design = `
readCurrent                | S O D E U N | -         | ${all}  | S
readProfile                | S O D E U   | -         | ${all}  | S
setTime                    | I C         | I C       | I C L   | I
setMeteringParameters      | I C         | I C       | I C L   | I
calibrate                  | I C         | I C       | I C L   | I
readMetrologicalLogbook    | I C         | I C       | I C L   | I
resetMetrologicalLogbook   | I           | I         | I C     | I
installMetrologicalSoftware| O           | -         | O S     | I
readSoftware               | I C M S O   | I C M S O | ${all}  | I
setParameters              | M S O L     | -         | M S O L | S O
readLogbook                | M S O L     | -         | M S O L | S O
resetLogbook               | M S         | -         | M S O L | S O
installSoftware            | M S O       | -         | M S O L | S O
setAccess                  | I S         | I S       | I S O   | S
setKeys                    | S           | -         | M S O L | S O
setAddresses               | S O         | -         | M S O L | S O
changeProvider             | S           | -         | S       | S
deleteProvider             | M           | M         | M       | S
erase                      | L           | L         | L       | I
rolloverKey                | C           | C         | C       | I
relay                      | S O L I C M | I C M     | S O L I C M | S O
`
    .trim()
    .split("\n")
    .map(line => {
        const [name, ...sets] = line.split("|").map(each => each.trim())
        const [delivery, fixed, ceiling, editors] = sets.map(rolesOf)
        return { fn: Fn[name as keyof typeof Fn] as Fn, name, delivery, fixed, ceiling, editors }
    })
/** Who may raise the least version of each role. */
export const versionEditors: Set<Role>[] = ["I", "I", "", "S", "S", "S", "S", "I S", "S", "S"].map(rolesOf)
/** All roles that may command. */
export const roles = Object.values(initials)
