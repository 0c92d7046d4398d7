-- General shapes only: which tables of ours there are is data. Keys of type bytea sort by their bytes.
CREATE TABLE store_tables (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    versioned boolean NOT NULL
);

-- The present. What is read by people is in shown; what is read by the program is in value.
CREATE TABLE store_rows (
    tbl smallint NOT NULL,
    key bytea NOT NULL,
    commit bigint NOT NULL,
    recorded bigint NOT NULL,
    value bytea NOT NULL,
    shown jsonb,
    PRIMARY KEY (tbl, key)
) WITH (fillfactor = 85);

-- Former versions of versioned rows; no value: deleted by that commit.
CREATE TABLE store_past (
    tbl smallint NOT NULL,
    key bytea NOT NULL,
    commit bigint NOT NULL,
    recorded bigint NOT NULL,
    value bytea,
    PRIMARY KEY (tbl, key, commit)
);

-- Times are microseconds since 1970 in UTC. The id tells a writer whose answer was lost that its batch is here.
CREATE TABLE store_commits (
    number bigint PRIMARY KEY,
    at bigint NOT NULL,
    id bytea NOT NULL
);
CREATE INDEX store_commits_at ON store_commits (at, number);

-- The last commit. Who writes locks it first.
CREATE TABLE store_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint NOT NULL,
    at bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO store_head (number, at) VALUES (0, 0);

CREATE TABLE store_streams (
    stream text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    at bigint NOT NULL,
    hash bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (stream, sequence)
);

CREATE TABLE store_due (
    queue text COLLATE "C" NOT NULL,
    item bytea NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (queue, item)
);
CREATE INDEX store_due_at ON store_due (queue, at, item);

-- An empty holder: nobody's. The token is kept, so that the next one is greater.
CREATE TABLE store_leases (
    name text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    token bigint NOT NULL,
    until bigint NOT NULL
) WITH (fillfactor = 50);
