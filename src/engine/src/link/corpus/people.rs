//! People and their accounts, and what makes them hard to tell apart: namesakes, addresses given to a successor, accounts
//! that moved, new names, shared mailboxes, second accounts. It must never be compiled into the program.

use provost_model::{Facts, Kind, field};

use super::{Maker, Origin, Somebody, Truth};

const FIRST: [&str; 20] = [
    "Ann", "Bo", "Cem", "Dora", "Eli", "Finn", "Gia", "Hugo", "Ines", "Jan", "Kim", "Lea", "Max", "Nina", "Omar",
    "Pia", "Quinn", "Rosa", "Sven", "Tara",
];
const LAST: [&str; 24] = [
    "Abel", "Berg", "Costa", "Dahl", "Evans", "Falk", "Green", "Haas", "Ito", "Jung", "Kaya", "Lopez", "Meyer",
    "Novak", "Otto", "Patel", "Quist", "Rossi", "Silva", "Thorn", "Unger", "Vogel", "Weber", "Young",
];
const DOMAIN: &str = "corp.example";
/// People who work there.
const STAFF: u32 = 640;
const TEAMS: u64 = 40;

/// One account of a person.
struct Account<'a> {
    realm: &'a str,
    kind: Kind,
    emails: Vec<String>,
    made: i64,
    gone: bool,
}

pub(super) fn fill(maker: &mut Maker) {
    for number in 0..STAFF {
        let somebody = join(maker);
        match number % 20 {
            0 => successor(maker, somebody),
            1 => moved(maker, somebody),
            2 => renamed(maker, somebody),
            _ => settled(maker, somebody),
        }
    }
    shared_mailboxes(maker);
    everybodys_contact(maker);
    robots(maker);
    (0..4).for_each(|_| undetected_successor(maker));
    (0..5).for_each(|_| undetected_robot(maker));
}

/// A new person, with an address nobody else has now. Namesakes get a number.
fn join(maker: &mut Maker) -> u32 {
    let (first, last) = (maker.dice.pick(&FIRST), maker.dice.pick(&LAST));
    let plain = format!("{}.{}", first.to_lowercase(), last.to_lowercase());
    let taken = |login: &str| maker.corpus.people.iter().any(|it| it.login == login);
    let login = if taken(&plain) {
        (2..).map(|number| format!("{plain}{number}")).find(|it| !taken(it)).unwrap_or_default()
    } else {
        plain
    };
    let team = maker.dice.below(TEAMS) as u32;
    let email = format!("{login}@{DOMAIN}");
    maker.corpus.people.push(Somebody { name: format!("{first} {last}"), email, login, team, left: false });
    (maker.corpus.people.len() - 1) as u32
}

fn open(maker: &mut Maker, somebody: u32, account: Account<'_>) {
    let Some(known) = maker.corpus.people.get(somebody as usize).cloned() else { return };
    let number = maker.dice.hex(12);
    let facts = match account.emails.as_slice() {
        [] => Facts::new().with(field::EMAILS, provost_model::Reading::NotPermitted),
        emails => Facts::new().with(field::EMAILS, emails.to_vec()),
    };
    let truth = Truth { person: Some(somebody), identity: Some(maker.thing()), ..Truth::default() };
    let truth = if account.kind == Kind::Person { Truth { identity: None, ..truth } } else { truth };
    let origin = Origin::new(account.realm, account.kind, number, account.made).gone(account.gone);
    maker.put(origin, &known.name, (facts, truth));
}

fn address(maker: &Maker, somebody: u32) -> String {
    maker.corpus.people.get(somebody as usize).map(|it| it.email.clone()).unwrap_or_default()
}

/// The accounts a person usually has.
fn settled(maker: &mut Maker, somebody: u32) {
    let email = address(maker, somebody);
    let made = maker.dice.between(30, 1500);
    accounts(maker, somebody, (&email, &[]), (made, false));
    // A person whose address is not shown there, a tagged address that is known nowhere else, and a second account.
    match maker.dice.below(50) {
        0 => open(maker, somebody, account("jira:site-1", Kind::User, Vec::new(), made)),
        1 => {
            let tagged = email.replace('@', "+jira@");
            open(maker, somebody, account("jira:site-1", Kind::User, vec![tagged], made));
        }
        2 => open(maker, somebody, account("github:org/42", Kind::User, vec![email], made - 20)),
        3 => open(maker, somebody, account("aws:111111111111", Kind::User, Vec::new(), made)),
        4..=20 => open(maker, somebody, account("jira:site-1", Kind::User, vec![email.to_uppercase()], made)),
        _ => {}
    }
}

fn account<'a>(realm: &'a str, kind: Kind, emails: Vec<String>, made: i64) -> Account<'a> {
    Account { realm, kind, emails, made, gone: false }
}

/// Directory, Entra and GitHub; `others` are further addresses that Entra keeps.
fn accounts(maker: &mut Maker, somebody: u32, (email, others): (&str, &[&str]), (made, gone): (i64, bool)) {
    let all = std::iter::once(&email).chain(others).map(|it| (*it).to_owned()).collect();
    let one = || vec![email.to_owned()];
    open(maker, somebody, Account { realm: "okta:corp", kind: Kind::Person, emails: one(), made, gone });
    open(maker, somebody, Account { realm: "entra:tenant-1", kind: Kind::User, emails: all, made: made - 1, gone });
    if maker.dice.chance(85) {
        let capital =
            format!("{}{}", email.get(..1).unwrap_or_default().to_uppercase(), email.get(1..).unwrap_or_default());
        let realm = if maker.dice.chance(70) { "github:org/42" } else { "github:org/77" };
        open(maker, somebody, Account { realm, kind: Kind::User, emails: vec![capital], made: made - 2, gone });
    }
}

/// Somebody left, and a namesake who came later was given the address. One former account in four was forgotten.
fn successor(maker: &mut Maker, newcomer: u32) {
    let Some(known) = maker.corpus.people.get(newcomer as usize).cloned() else { return };
    let left_at = maker.dice.between(200, 500);
    let former = Somebody { left: true, ..known.clone() };
    maker.corpus.people.push(former);
    let former = (maker.corpus.people.len() - 1) as u32;
    let made = left_at + maker.dice.between(300, 900);
    accounts(maker, former, (&known.email, &[]), (made, true));
    if maker.dice.chance(25) {
        open(maker, former, account("jira:site-1", Kind::User, vec![known.email.clone()], made));
    }
    accounts(maker, newcomer, (&known.email, &[]), (left_at - 30, false));
}

/// An account went from one organisation of a provider to another.
fn moved(maker: &mut Maker, somebody: u32) {
    let email = address(maker, somebody);
    let made = maker.dice.between(400, 1500);
    let (old, new) = ("okta:acquired", "okta:corp");
    open(maker, somebody, Account { realm: old, kind: Kind::Person, emails: vec![email.clone()], made, gone: true });
    let since = maker.dice.between(30, 200);
    open(maker, somebody, account(new, Kind::Person, vec![email.clone()], since));
    open(maker, somebody, account("entra:tenant-1", Kind::User, vec![email.clone()], since));
    let emails = vec![email];
    open(
        maker,
        somebody,
        Account { realm: "github:org/77", kind: Kind::User, emails: emails.clone(), made, gone: true },
    );
    open(maker, somebody, account("github:org/42", Kind::User, emails, since));
}

/// A person took another name: one directory keeps both addresses, older systems know only the former one.
fn renamed(maker: &mut Maker, somebody: u32) {
    let former = address(maker, somebody);
    let Some(known) = maker.corpus.people.get_mut(somebody as usize) else { return };
    let email = format!("{}-{}@{DOMAIN}", known.login, "married");
    known.email.clone_from(&email);
    let made = maker.dice.between(400, 1500);
    accounts(maker, somebody, (&email, &[&former]), (made, false));
    open(maker, somebody, account("jira:site-1", Kind::User, vec![former], made));
}

/// A mailbox that several people answer is among the addresses of each of them.
fn shared_mailboxes(maker: &mut Maker) {
    for mailbox in 0..12_u32 {
        let address = format!("project-{mailbox}@{DOMAIN}");
        let members = 2 + maker.dice.below(5);
        for _ in 0..members {
            let somebody = join(maker);
            let email = self::address(maker, somebody);
            let made = maker.dice.between(30, 900);
            accounts(maker, somebody, (&email, &[&address]), (made, false));
        }
    }
}

/// An address that was typed into a field where everybody had to type one.
fn everybodys_contact(maker: &mut Maker) {
    for _ in 0..80 {
        let somebody = join(maker);
        let email = address(maker, somebody);
        let made = maker.dice.between(30, 900);
        accounts(maker, somebody, (&email, &["all-hands@corp.example"]), (made, false));
    }
}

/// Accounts of machines that carry the address of whoever looks after them.
fn robots(maker: &mut Maker) {
    for number in 0..60 {
        let owner = maker.owner();
        let emails: Vec<String> = maker.email_of(owner).into_iter().collect();
        let facts = Facts::new()
            .with(field::EMAILS, emails)
            .with(field::NATURE, "machine".to_owned())
            .with(field::NATURE_BECAUSE, "the provider calls it a bot".to_owned());
        let truth = Truth { identity: Some(maker.thing()), owner, ..Truth::default() };
        let made = maker.dice.between(30, 900);
        let external = maker.dice.hex(10);
        let name = if number % 3 == 0 { "deploy-bot".to_owned() } else { format!("bot-{number}") };
        maker.put(Origin::new("github:org/42", Kind::User, external, made), &name, (facts, truth));
    }
}

/// Somebody left before anything was looked at; one account was forgotten, and a newcomer was given the address. Nothing
/// in the inventory tells: a wrong pair that no rule on keys can avoid.
fn undetected_successor(maker: &mut Maker) {
    let newcomer = join(maker);
    let Some(known) = maker.corpus.people.get(newcomer as usize).cloned() else { return };
    maker.corpus.people.push(Somebody { left: true, ..known.clone() });
    let former = (maker.corpus.people.len() - 1) as u32;
    open(maker, former, account("jira:site-1", Kind::User, vec![known.email.clone()], 1200));
    accounts(maker, newcomer, (&known.email, &[]), (90, false));
}

/// A machine's account that nothing tells from a person's, with the address of whoever set it up.
fn undetected_robot(maker: &mut Maker) {
    let owner = maker.owner();
    let emails: Vec<String> = maker.email_of(owner).into_iter().collect();
    let truth = Truth { identity: Some(maker.thing()), owner, ..Truth::default() };
    let external = maker.dice.hex(10);
    let origin = Origin::new("jira:site-2", Kind::User, external, 300);
    maker.put(origin, "build", (Facts::new().with(field::EMAILS, emails), truth));
}
