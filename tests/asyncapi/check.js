// node check.js DOCUMENT…: what AsyncAPI's parser says of each, as JSON lines; it judges errors and warnings alike.
import { readFile } from 'node:fs/promises'
import { Parser } from '@asyncapi/parser'

for (const path of process.argv.slice(2)) {
  const { document, diagnostics } = await new Parser().parse(await readFile(path, 'utf8'), { source: path })
  const problems = diagnostics
    .filter(({ severity }) => severity <= 1)
    .map(({ code, message, path: where, range }) => `line ${range.start.line + 1} ${where.join('.')}: ${message} (${code})`)
  console.log(JSON.stringify({
    path,
    problems,
    addresses: document?.channels().all().map((channel) => channel.address() ?? null) ?? [],
    operations: document?.operations().all().map((operation) => operation.id()) ?? [],
  }))
}
