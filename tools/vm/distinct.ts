import type ts from "typescript"
import type { Change } from "./programs.ts"
import { toolchain } from "./toolchain.ts"

/** Members that must have one name, because a value that has one of them may be used as one that has another. */
class Groups {
    private readonly parents = new Map<ts.Node, ts.Node>()

    find(node: ts.Node): ts.Node {
        let at = node
        for (;;) {
            const up = this.parents.get(at)
            if (up === undefined || up === at) break
            at = up
        }
        this.parents.set(node, at)
        return at
    }

    join(a: ts.Node, b: ts.Node): void {
        const [x, y] = [this.find(a), this.find(b)]
        if (x !== y) this.parents.set(x, y)
    }
}

/** A name in a source file that stands for a member: `short` in `{ name }`, where it is a variable's name as well. */
interface Place {
    node: ts.Identifier
    short: boolean
}

/**
 * Gives methods names of their own: `read` of one class and `read` of another, which nothing uses in one another's place, become
 * `read` and `read$1`. The optimiser then sees that a name means one method, and makes it a function (`tools/vm/optimize/methods.ts`).
 *
 * Two members keep one name if the checker of `program`, which holds the sources as they stand in the files, says that a value with
 * one is used as a value with the other: by `implements` and `extends`, as argument (a fiber's too), answer, in an assignment, a literal or a
 * choice. Names that
 * something unchecked uses (`any`, `x["name"]`, library files), names of optional members and those `kept` stay as they are. What is left out
 * here shows as a type error when the changed sources are compiled.
 */
export function distinctNames(program: ts.Program, kept: Iterable<string> = []): Change {
    const ts = toolchain().typescript
    const checker = program.getTypeChecker()
    const own = (file: ts.SourceFile) => !file.isDeclarationFile && !/(^|\/)node_modules\//.test(file.fileName)
    const sources = program.getSourceFiles().filter(own)

    const groups = new Groups()
    const frozen = new Set<string>(kept)
    const places = new Map<ts.Node, Place[]>()
    const members = new Set<ts.Node>()

    const isMember = (node: ts.Node) =>
        ts.isPropertyDeclaration(node) ||
        ts.isPropertySignature(node) ||
        ts.isMethodDeclaration(node) ||
        ts.isMethodSignature(node) ||
        ts.isPropertyAssignment(node) ||
        ts.isShorthandPropertyAssignment(node) ||
        ts.isGetAccessor(node) ||
        ts.isSetAccessor(node) ||
        ts.isParameter(node)
    /** Declarations of a member, all in one group; of the library's the name is frozen. */
    const declared = (symbol: ts.Symbol | undefined): ts.Node | undefined => {
        const all = symbol?.declarations?.filter(isMember) ?? []
        for (const each of all) {
            if (!own(each.getSourceFile())) frozen.add(symbol!.name)
            groups.join(all[0], each)
            members.add(each)
        }
        if (symbol && all.length < (symbol.declarations?.length ?? 0) && all.length > 0) frozen.add(symbol.name)
        return all[0]
    }

    const isVariable = (node: ts.Identifier): boolean => {
        const { parent } = node
        if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
        if (isMember(parent)) return (parent as ts.PropertyDeclaration).name !== node
        return true
    }

    const related = new Set<string>()
    const ids = new Map<ts.Type, number>()
    const idOf = (type: ts.Type) => {
        const id = ids.get(type) ?? ids.size
        ids.set(type, id)
        return id
    }
    /** A value of type `from` is used as one of type `to`. */
    const relate = (from: ts.Type, to: ts.Type, level = 0): void => {
        if (from === to || level > 6) return
        const key = `${idOf(from)} ${idOf(to)}`
        if (related.has(key)) return
        related.add(key)
        if (from.isUnionOrIntersection()) {
            for (const each of from.types) relate(each, to, level)
            return
        }
        if (to.isUnionOrIntersection()) {
            for (const each of to.types) relate(from, each, level)
            return
        }
        if (!(from.flags & ts.TypeFlags.Object) || !(to.flags & ts.TypeFlags.Object)) return
        const [ours, theirs] = [typeArguments(from), typeArguments(to)]
        for (const [i, each] of ours.entries()) if (theirs[i]) relate(each, theirs[i], level + 1)
        if (checker.isArrayType(from) && checker.isArrayType(to)) return
        for (const property of checker.getPropertiesOfType(to)) {
            const same = checker.getPropertyOfType(from, property.name)
            if (!same) continue
            const [a, b] = [declared(same), declared(property)]
            if (a && b) groups.join(a, b)
            relate(typeOf(same), typeOf(property), level + 1)
        }
        const [call] = checker.getSignaturesOfType(from, ts.SignatureKind.Call)
        for (const wanted of checker.getSignaturesOfType(to, ts.SignatureKind.Call)) {
            if (!call) break
            relate(call.getReturnType(), wanted.getReturnType(), level + 1)
            for (const [i, parameter] of call.parameters.entries())
                if (wanted.parameters[i]) relate(typeOf(wanted.parameters[i]), typeOf(parameter), level + 1)
        }
    }
    const typeArguments = (type: ts.Type): readonly ts.Type[] =>
        (type as ts.ObjectType).objectFlags & ts.ObjectFlags.Reference
            ? checker.getTypeArguments(type as ts.TypeReference)
            : []
    const typeOf = (symbol: ts.Symbol) => checker.getTypeOfSymbol(symbol)
    const note = (node: ts.Identifier, symbol: ts.Symbol | undefined, short = false) => {
        const declaration = declared(symbol)
        if (!declaration) {
            frozen.add(node.text)
            return
        }
        places.set(declaration, [...(places.get(declaration) ?? []), { node, short }])
    }

    /** Parameters of constructors that are fields as well: both have the name. */
    const parameters = new Map<ts.Symbol, ts.Symbol>()
    /** In how many places of the sources an object of the class is made. */
    const made = new Map<ts.Node, number>()
    const visit = (node: ts.Node): void => {
        if (ts.isNewExpression(node)) {
            const cls = checker.getTypeAtLocation(node).symbol?.valueDeclaration
            if (cls) made.set(cls, (made.get(cls) ?? 0) + 1)
        }
        if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.name)) {
            const symbol = checker.getSymbolAtLocation(node.name)
            const isAlias =
                symbol &&
                (symbol.flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Method | ts.SymbolFlags.Accessor)) === 0
            if (!isAlias) note(node.name, symbol)
        } else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression))
            frozen.add(node.argumentExpression.text)
        else if (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent)) {
            const [variable, property] = checker.getSymbolsOfParameterPropertyDeclaration(
                node,
                (node.name as ts.Identifier).text,
            )
            note(node.name as ts.Identifier, property)
            parameters.set(variable, property)
        } else if (ts.isShorthandPropertyAssignment(node)) note(node.name, checker.getSymbolAtLocation(node.name), true)
        else if (ts.isIdentifier(node) && isVariable(node)) {
            const property = parameters.get(checker.getSymbolAtLocation(node)!)
            if (property) note(node, property)
        } else if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
            const name = node.propertyName ?? node.name
            if (ts.isIdentifier(name)) frozen.add(name.text)
        } else if (isMember(node) && !ts.isParameter(node)) {
            const { name } = node as ts.PropertyDeclaration
            if ((node as ts.PropertyDeclaration).questionToken && !ts.isParameter(node)) frozen.add(name.getText())
            if (ts.isIdentifier(name)) note(name, checker.getSymbolAtLocation(name))
            else frozen.add(name.getText().replace(/^["']|["']$/g, ""))
        }
        if ((ts.isClassLike(node) || ts.isInterfaceDeclaration(node)) && node.name) {
            const type = checker.getTypeAtLocation(node.name)
            for (const clause of node.heritageClauses ?? [])
                for (const base of clause.types) relate(type, checker.getTypeAtLocation(base))
        }
        if (ts.isAsExpression(node)) relate(checker.getTypeAtLocation(node.expression), checker.getTypeAtLocation(node))
        for (const [from, to] of unspoken(checker, node)) relate(from, to)
        if (ts.isExpression(node)) {
            const wanted = checker.getContextualType(node)
            if (wanted) relate(checker.getTypeAtLocation(node), wanted)
        }
        ts.forEachChild(node, visit)
    }
    for (const source of sources) visit(source)

    // Groups of one name: each that has methods gets its own. Fields of classes made in one place get one, and a mark.
    const byName = new Map<string, Set<ts.Node>>()
    const membersOf = new Map<ts.Node, ts.Node[]>()
    for (const member of members) {
        const name = (member as ts.PropertyDeclaration).name.getText()
        const group = groups.find(member)
        byName.set(name, (byName.get(name) ?? new Set()).add(group))
        membersOf.set(group, [...(membersOf.get(group) ?? []), member])
    }
    const isMethod = (member: ts.Node) => ts.isMethodDeclaration(member) && ts.isClassLike(member.parent)
    const classOf = (member: ts.Node): ts.Node | undefined => {
        if (ts.isParameter(member)) return member.parent.parent
        const isField =
            ts.isPropertyDeclaration(member) && !(ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static)
        return isField ? member.parent : undefined
    }
    const isOwnField = (all: ts.Node[]) => {
        const cls = classOf(all[0])
        return cls !== undefined && made.get(cls) === 1 && all.every(each => classOf(each) === cls)
    }
    const renamed = new Map<ts.Node, string>()
    for (const [name, found] of byName) {
        if (frozen.has(name)) continue
        let number = 0
        for (const group of found) {
            const all = membersOf.get(group)!
            number++
            if (all.some(isMethod)) {
                if (found.size > 1) renamed.set(group, `${name}$${number}`)
            } else if (isOwnField(all)) renamed.set(group, `${name}$$${number}`)
        }
    }
    const edits = new Map<string, { at: number; end: number; text: string }[]>()
    for (const [declaration, all] of places) {
        const fresh = renamed.get(groups.find(declaration))
        if (!fresh) continue
        for (const { node, short } of all) {
            const file = node.getSourceFile().fileName
            const text = short ? `${fresh}: ${node.text}` : fresh
            edits.set(file, [...(edits.get(file) ?? []), { at: node.getStart(), end: node.getEnd(), text }])
        }
    }
    return (path, source) => {
        let changed = source
        const own = (edits.get(path) ?? []).sort((a, b) => b.at - a.at)
        for (const { at, end, text: fresh } of own) changed = changed.slice(0, at) + fresh + changed.slice(end)
        return changed
    }
}

/**
 * Values that become others without the checker's having a type that is wanted of them: what a fiber is started with; what is chosen from, whose type is
 * that of one alone where the other has all that it has.
 */
function unspoken(checker: ts.TypeChecker, node: ts.Node): [ts.Type, ts.Type][] {
    const ts = toolchain().typescript
    const pairs: [ts.Type, ts.Type][] = []
    const become = (part: ts.Node, whole: ts.Type) => pairs.push([checker.getTypeAtLocation(part), whole])
    if (ts.isConditionalExpression(node)) {
        become(node.whenTrue, checker.getTypeAtLocation(node))
        become(node.whenFalse, checker.getTypeAtLocation(node))
    } else if (ts.isBinaryExpression(node)) {
        become(node.left, checker.getTypeAtLocation(node))
        become(node.right, checker.getTypeAtLocation(node))
    } else if (ts.isArrayLiteralExpression(node)) {
        const each = checker.getIndexTypeOfType(checker.getTypeAtLocation(node), ts.IndexKind.Number)
        if (each) for (const element of node.elements) become(element, each)
    } else if (ts.isReturnStatement(node) && node.expression) {
        const owner = ts.findAncestor(node, ts.isFunctionLike)
        const signature = owner && checker.getSignatureFromDeclaration(owner as ts.SignatureDeclaration)
        if (signature) become(node.expression, signature.getReturnType())
    } else if (
        ts.isCallExpression(node) &&
        ts.isPropertyAccessExpression(node.expression) &&
        node.expression.name.text === "start"
    ) {
        const [started] = checker.getTypeAtLocation(node.expression.expression).getCallSignatures()
        for (const [i, argument] of node.arguments.entries()) {
            const parameter = started?.parameters[i]
            if (parameter) become(argument, checker.getTypeOfSymbol(parameter))
        }
    }
    return pairs
}
