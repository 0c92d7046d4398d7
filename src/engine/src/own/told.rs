//! An owner told in full: the evidence, and how it adds up.
//! It must never leave out evidence that speaks for somebody else.

use provost_model::{Owner, OwnerEvidence, Party, Signal};

/// The lines that explain an owner: the sum, then the evidence for it, then that for others.
pub fn told(owner: &Owner) -> Vec<String> {
    let mut lines =
        vec![format!("{}{}: confidence {}", owner.name, nature(owner), sum(owner.confidence, &owner.evidence))];
    lines.extend(owner.evidence.iter().map(piece));
    for other in &owner.others {
        let word = if other.conflicts { "contradicted by" } else { "beside" };
        let left = other.left.map(|at| format!(", left {}", at.whole_seconds())).unwrap_or_default();
        lines.push(format!("{word} {}{left}: confidence {}", other.name, sum(other.confidence, &other.evidence)));
        lines.extend(other.evidence.iter().map(piece));
    }
    lines
}

fn nature(owner: &Owner) -> String {
    let mut words = vec![
        match owner.party {
            Party::Person => "a person",
            Party::Team => "a team",
            Party::Unknown => "not in the people file",
        }
        .to_owned(),
    ];
    words.extend(owner.left.map(|at| format!("left {}", at.whole_seconds())));
    words.extend(owner.moved.map(|at| format!("moved {}", at.whole_seconds())));
    format!(" ({})", words.join(", "))
}

/// `0.88 = 1 - (1 - 0.70) × (1 - 0.60)`.
fn sum(confidence: f64, evidence: &[OwnerEvidence]) -> String {
    let mut strongest: Vec<&OwnerEvidence> = Vec::new();
    for it in evidence {
        if !strongest.iter().any(|known| known.signal == it.signal) {
            strongest.push(it);
        }
    }
    if evidence.iter().any(|it| it.signal == Signal::Confirmation && it.confidence >= 1.0) {
        return format!("{confidence:.2}, confirmed");
    }
    if strongest.len() < 2 {
        return format!("{confidence:.2}");
    }
    let factors: Vec<String> = strongest.iter().map(|it| format!("(1 - {:.2})", it.confidence)).collect();
    format!("{confidence:.2} = 1 - {}", factors.join(" × "))
}

fn piece(it: &OwnerEvidence) -> String {
    let mut text = format!("  {}: {} says {}, {:.2}", it.signal, it.source, it.names, it.confidence);
    let faded = it.confidence < it.weight;
    if faded {
        text.push_str(&format!(" left of {:.2}", it.weight));
    }
    match it.as_of {
        Some(at) => text.push_str(&format!(", as of {}", at.whole_seconds())),
        None if faded => text.push_str(", of unknown age"),
        None => {}
    }
    text
}
