//! Commands, and the parameters of an execution: what is split joins to an execution that splits the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::command::{Command, execute_parameters, put_execute};

fuzz_target!(|data: &[u8]| {
    let Some((&[low, high], payload)) = data.split_first_chunk() else {
        return;
    };
    let params = u16::from_le_bytes([low, high]);
    let Ok(Command::Execute(execute)) = Command::parse(payload) else {
        return;
    };
    let Ok(parameters) = execute_parameters(execute.rest, params) else {
        return;
    };
    let mut out = BytesMut::new();
    put_execute(&mut out, execute.statement_id, Some((&parameters, None)));
    let Ok(Command::Execute(again)) = Command::parse(&out) else { panic!("{out:?}") };
    assert_eq!((again.statement_id, again.flags, again.iterations), (execute.statement_id, 0, 1));
    assert_eq!(execute_parameters(again.rest, params), Ok(parameters));

    let types = vec![3; usize::from(params) * 2];
    let mut out = BytesMut::new();
    put_execute(&mut out, 1, Some((&parameters, Some(&types))));
    let Ok(Command::Execute(again)) = Command::parse(&out) else { panic!("{out:?}") };
    let typed = execute_parameters(again.rest, params).unwrap();
    assert_eq!(typed.values, parameters.values);
    assert_eq!(typed.types.unwrap_or_default(), types);
});
