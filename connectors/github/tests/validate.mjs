// Holds GraphQL documents against GitHub's published schema: are they valid, do their variables fit, and would the schema
// give such an answer? Reads a list of {name, query, variables, data} and prints what is wrong, a line each.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

const modules = process.argv[2];
const require = createRequire(join(modules, 'x.js'));
const { buildSchema, executeSync, parse, validate } = require('graphql');

// The schema as it is published defines two fields twice, which is no matter here.
const text = readFileSync(join(modules, '@octokit/graphql-schema/schema.graphql'), 'utf8');
const schema = buildSchema(text, { assumeValidSDL: true });
const concrete = { Node: 'Repository', GitObject: 'Blob' };

for (const { name, query, variables, data } of JSON.parse(readFileSync(0, 'utf8'))) {
  const document = parse(query);
  const faults = validate(schema, document).map((error) => error.message);
  if (faults.length === 0 && data) {
    const answer = executeSync({
      schema,
      document,
      rootValue: data,
      variableValues: variables,
      fieldResolver: (source, _args, _context, info) => source[info.path.key],
      typeResolver: (_value, _context, _info, type) => concrete[type.name],
    });
    faults.push(...(answer.errors ?? []).map((error) => error.message));
    // Without prototypes, and whatever the order.
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(answer.data)), data)) {
      faults.push(`the answer is not what was asked: ${JSON.stringify(answer.data)}`);
    }
  }
  faults.forEach((fault) => console.log(`${name}: ${fault}`));
}
