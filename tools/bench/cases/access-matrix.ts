import { Fn } from "../../../firmware/core/access.ts"
import { Code } from "../../../firmware/core/errors.ts"
import { accessPath, labelPath } from "../../../firmware/core/sml-parameter.ts"
import { Role } from "../../../firmware/core/x509-role.ts"
import { type Cell, expected, type Matrix, type Report, unexpected } from "../report.ts"
import { type Came, codeText } from "./answer.ts"
import type { Person } from "./company.ts"
import { type Order, orders } from "./orders.ts"
import { stranger } from "./reading.ts"
import { get, list, profile, set } from "./requests.ts"
import { mayAtDelivery, roleColumns } from "./rights.ts"
import { type Component, Stage } from "./stage.ts"

/** A column: somebody, or nobody, and with what every command must be refused; `undefined` where the table decides. */
interface Column {
    head: string
    letter?: string
    person?: Person
    refused?: readonly Code[]
}

/** A row: an order, and how to tell whether the component let it pass. */
interface Row {
    component: Component
    order: Order
    passed(came: Came): boolean
}

/** Rows of a MUC that hands a file on: what the meter says of it is its own, and signed. */
const carried = (came: Came) => came.answer === "signed"

/** Code of a request that nobody answered. */
const unanswered = -1
/** Commands of this run that were given a second time. */
let askedAgain = 0

/**
 * Every role x function x component, and those who must never pass: what the table of design.md section 7 expects beside what the running
 * images do. The component's line for the meter, its uplink for the MUC; one command a cell.
 */
export async function run(): Promise<Report> {
    const matrices: Matrix[] = []
    askedAgain = 0
    const began = Date.now()
    for (const muc of [false, true]) {
        const stage = await Stage.open({ muc })
        try {
            const component = muc ? stage.muc : stage.meter
            // A row of the load profile is there to be read.
            await stage.desk.world.runFor(900_000)
            matrices.push(await matrixOf(stage, component, await columnsOf(stage, component)))
        } finally {
            await stage.close()
        }
    }
    const cells = matrices.flatMap(({ rows }) => rows.flatMap(row => row.cells))
    const wrong = cells.filter(({ state }) => state !== "expected").length
    const seconds = Math.round((Date.now() - began) / 1000)
    const lost = askedAgain > 0 ? `, ${askedAgain} asked twice` : ""
    return {
        matrices,
        notes: [
            `${cells.length} cells, each a command to a running image: ${wrong} unlike the table${lost}; ${seconds} s.`,
            "yes: let pass. -: E5213 FunctionDenied. Last columns: refused whatever the function, with the code shown.",
            `Operators hold role version 2, which the table asks for; "old" holds 1.`,
        ],
    }
}

async function columnsOf(stage: Stage, component: Component): Promise<Column[]> {
    const management = stage.person("security-management")
    await raiseOperators(stage, management, component)
    const columns: Column[] = []
    for (const { letter, head, path, issue } of roleColumns) {
        const roleVersion = letter === "O" ? 2 : undefined
        const person = path ? stage.person(path) : await stage.certify(issue!, `the ${issue}`, { roleVersion })
        columns.push({ head, letter, person })
    }
    const past = new Date(stage.now().getTime() - 3 * 86_400_000)
    const expired = await stage.certify("operator", "the late one", { roleVersion: 2, days: 2, now: past })
    const revoked = await stage.certify("operator", "the revoked one", { roleVersion: 2 })
    const brought = await stage.revoke(revoked, component)
    if (brought.code !== 0) throw new Error(`the ${component.name} does not take the list: ${brought.text}`)
    const old = await stage.certify("operator", "the old one")
    return [
        ...columns,
        { head: "nobody", refused: [Code.NotSigned] },
        { head: "foreign", person: await stranger(stage), refused: [Code.ChainIssuer, Code.ChainKeyId] },
        { head: "expired", person: expired, refused: [Code.ChainExpired] },
        { head: "revoked", person: revoked, refused: [Code.ChainRevoked] },
        { head: "old", person: old, refused: [Code.RoleVersionOld] },
    ]
}

/** Has the component ask for version 2 of the operators' role. */
async function raiseOperators(stage: Stage, by: Person, component: Component): Promise<void> {
    const came = await stage.tell(by, component, [get(accessPath)])
    const table = Buffer.from(came.trees[0]?.value ?? [])
    if (table.length < 86) throw new Error(`the ${component.name} does not tell its access table: ${came.text}`)
    table.writeUInt32BE(table.readUInt32BE(0) + 1, 0)
    table.writeUInt32BE(2, 46 + 4 * Role.operator)
    const changed = await stage.tell(by, component, [set(accessPath, table)])
    if (changed.code !== 0) throw new Error(`the ${component.name} does not take an access table: ${changed.text}`)
}

async function matrixOf(stage: Stage, component: Component, columns: Column[]): Promise<Matrix> {
    const rows = rowsOf(stage, component)
    const cells: Cell[][] = rows.map(() => [])
    // Person by person: a component remembers the last ones' certificates.
    for (const column of columns) {
        for (const [i, row] of rows.entries()) cells[i].push(await trial(stage, row, column))
    }
    return {
        title: `Who may do what with the ${component.name}`,
        head: ["function", ...columns.map(({ head }) => head)],
        rows: rows.map(({ order }, i) => ({ names: [Fn[order.fn]], cells: cells[i] })),
    }
}

function rowsOf(stage: Stage, component: Component): Row[] {
    const own = orders(stage, component).map(
        (order): Row => ({
            component,
            order,
            passed: ({ code }) => code === 0 || (order.after !== 0 && order.after.includes(code)),
        }),
    )
    if (component.name === "meter") return own
    const through = (fn: Fn, request: Order["request"]): Row => ({
        component: stage.meter,
        order: { fn, says: "through the MUC", request, after: 0 },
        passed: carried,
    })
    return [
        through(Fn.readCurrent, list()),
        through(Fn.readProfile, profile()),
        ...own,
        through(Fn.relay, set(labelPath, Buffer.from("bench"))),
    ]
}

async function trial(stage: Stage, row: Row, column: Column): Promise<Cell> {
    const { component, order } = row
    const { person } = column
    const ask = () => (person ? stage.tell(person, component, [order.request]) : stage.ask(component, [order.request]))
    let came = await ask()
    if (came.code === unanswered) {
        // A request may get lost on a line; who asks asks again, and the table says how often.
        ++askedAgain
        came = await ask()
    }
    const wanted = column.refused ?? (mayAtDelivery(column.letter!, order.fn) ? undefined : [Code.FunctionDenied])
    if (wanted === undefined) return row.passed(came) ? expected("yes") : unexpected(came.text, "expected to pass")
    const short = column.refused ? `E${came.code}` : "-"
    return !carriedAway(row, came) && wanted.includes(came.code)
        ? expected(short)
        : unexpected(
              came.code === 0 ? "passed" : came.text,
              `expected ${wanted.map(codeText).join(" or ")}, came ${came.text}`,
          )
}

/** Did a MUC hand on what it should have refused itself? */
function carriedAway({ component, passed }: Row, came: Came): boolean {
    return passed === carried && component.name === "meter" && carried(came)
}
